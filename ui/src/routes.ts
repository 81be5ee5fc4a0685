import { createRouter } from "sv-router";
import Servers from "./screens/Servers.svelte";
import Trouble from "./screens/Trouble.svelte";
import Unloaded from "./screens/Unloaded.svelte";

/** A screen that does not come: after an update its file is no more. */
const unloaded = () => ({ default: Unloaded });

export const { p, navigate, route } = createRouter({
  "/": Servers,
  "/servers/new": () => import("./screens/Create.svelte").catch(unloaded),
  "/servers/:id": () => import("./screens/Server.svelte").catch(unloaded),
  "/servers/:id/:tab": () => import("./screens/Server.svelte").catch(unloaded),
  "/nodes": () => import("./screens/Nodes.svelte").catch(unloaded),
  "/nodes/:id": () => import("./screens/Node.svelte").catch(unloaded),
  "/templates": () => import("./screens/Templates.svelte").catch(unloaded),
  "/templates/import": () => import("./screens/TemplateImport.svelte").catch(unloaded),
  "/templates/:id": () => import("./screens/Template.svelte").catch(unloaded),
  "/templates/:id/edit": () => import("./screens/TemplateEdit.svelte").catch(unloaded),
  "/registries": () => import("./screens/Registries.svelte").catch(unloaded),
  "/users": () => import("./screens/Users.svelte").catch(unloaded),
  "/account": () => import("./screens/Account.svelte").catch(unloaded),
  "/design": () => import("./screens/Design.svelte").catch(unloaded),
  "/setup": Servers,
  "*": Trouble,
});
