import { createRouter } from "sv-router";
import Servers from "./screens/Servers.svelte";

export const { p, navigate, isActive, route } = createRouter({
  "/": Servers,
  "/servers/new": () => import("./screens/Create.svelte"),
  "/servers/:id": () => import("./screens/Server.svelte"),
  "/servers/:id/:tab": () => import("./screens/Server.svelte"),
  "/nodes": () => import("./screens/Nodes.svelte"),
  "/nodes/:id": () => import("./screens/Node.svelte"),
  "/setup": Servers,
  "*": Servers,
});
