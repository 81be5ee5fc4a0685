import type { Server } from "../api/client";
import { isSensible, type Order } from "../api/orders";
import { navigate, route } from "../routes";
import { show, tabs } from "../screens/server/tabs";
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
  return [...goings(), ...showing(server), ...ordering(server), ...ofThePage()];
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

function showing(server: Server | undefined): Deed[] {
  return tabs().map(({ tab, key, name }) => ({
    keys: `t ${key}`,
    group: "tab",
    name,
    fits: server !== undefined,
    act: () => server && show(tab, server.id),
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
  const help: Deed = {
    keys: "?",
    group: "page",
    name: (t) => t.help.title,
    fits: true,
    act: () => (opened.what = "help"),
  };
  const create: Deed = {
    keys: "c",
    group: "page",
    name: (t) => t.create.title,
    fits: true,
    act: () => void navigate("/servers/new"),
  };
  return session.may("servers.create") ? [create, help] : [help];
}
