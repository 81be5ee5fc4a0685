import { CircleUser, HardDrive, KeyRound, Package, Server, Users } from "@lucide/svelte";
import { route } from "../routes";
import { session, type Permission } from "../state/session.svelte";
import type { Texts } from "../text/en";

/** The screens that lead everywhere else. */
const ALL = [
  { address: "/", covers: "/servers", key: "s", icon: Server, to: "servers.see", name: (t: Texts) => t.nav.servers },
  {
    address: "/nodes",
    covers: "/nodes",
    key: "n",
    icon: HardDrive,
    to: "nodes.manage",
    name: (t: Texts) => t.nodes.title,
  },
  {
    address: "/templates",
    covers: "/templates",
    key: "t",
    icon: Package,
    to: "templates.see",
    name: (t: Texts) => t.templates.title,
  },
  {
    address: "/registries",
    covers: "/registries",
    key: "r",
    icon: KeyRound,
    to: "nodes.manage",
    name: (t: Texts) => t.registries.title,
  },
  { address: "/users", covers: "/users", key: "u", icon: Users, to: "users.manage", name: (t: Texts) => t.nav.users },
  {
    address: "/account",
    covers: "/account",
    key: "a",
    icon: CircleUser,
    to: "account.self",
    name: (t: Texts) => t.nav.account,
  },
] as const satisfies { to: Permission; [detail: string]: unknown }[];

export type Place = (typeof ALL)[number];

/** Those to which one may go. */
export function places(): Place[] {
  return ALL.filter((place) => session.may(place.to));
}

/** Those that are always to be seen: the account has a menu of its own, and registries are found by the nodes. */
export function listed(): Place[] {
  return places().filter(({ address }) => address !== "/account" && address !== "/registries");
}

export function isHere(place: Place): boolean {
  return route.pathname === place.address || `${route.pathname}/`.startsWith(`${place.covers}/`);
}
