import type { Server } from "../api/client";
import { isSensible, type Order } from "../api/orders";
import { navigate, route } from "../routes";
import { session } from "../state/session.svelte";
import type { Texts } from "../text/en";
import { opened } from "./opened.svelte";
import { orders } from "./orders.svelte";
import { places } from "./places";

export type Group = "go" | "tab" | "order" | "page";

/** Something that is done with keys. What listens to them, the help and the palette all have it from `deeds`. */
export interface Deed {
  /** Pressed one after the other. */
  keys: string;
  group: Group;
  name: (t: Texts) => string;
  /** Whether it makes sense just now. */
  fits: boolean;
  act: () => void;
}

/** All that one may do. */
export function deeds(): Deed[] {
  const server = here();
  return [...goings(), ...tabs(server), ...ordering(server), ...ofThePage()];
}

/** The server whose page is open. */
function here(): Server | undefined {
  if (!route.pathname.startsWith("/servers/")) return undefined;
  return session.lists?.servers.rows.get(route.params.id ?? "");
}

function goings(): Deed[] {
  return places().map(({ key, name, address }) => ({
    keys: `g ${key}`,
    group: "go",
    name,
    fits: true,
    act: () => void navigate(address),
  }));
}

function tabs(server: Server | undefined): Deed[] {
  return (["console", "activity"] as const).map((tab) => ({
    keys: `t ${tab[0]}`,
    group: "tab",
    name: (t) => t.server.tabs[tab],
    fits: server !== undefined,
    act: () => void (server && navigate("/servers/:id/:tab", { params: { id: server.id, tab } })),
  }));
}

const ORDER_KEYS: Partial<Record<Order, string>> = { restart: "r r", start: "r s", kill: "r k" };

function ordering(server: Server | undefined): Deed[] {
  return Object.entries(ORDER_KEYS)
    .map(([kind, keys]) => ({ kind: kind as Order, keys }))
    .filter(({ kind }) => session.may(`servers.${kind}`))
    .map(({ kind, keys }) => ({
      keys,
      group: "order",
      name: (t) => t.server[kind],
      fits: server !== undefined && isSensible(kind, server),
      act: () => void (server && orders.give(kind, server)),
    }));
}

function ofThePage(): Deed[] {
  return [{ keys: "?", group: "page", name: (t) => t.help.title, fits: true, act: () => (opened.what = "help") }];
}
