import { Command, HardDrive, Play, RotateCw, Server as ServerIcon, Square, Zap } from "@lucide/svelte";
import type { Component } from "svelte";
import { isSensible, ORDERS, type Order } from "../api/orders";
import { navigate } from "../routes";
import { session } from "../state/session.svelte";
import type { Texts } from "../text/en";
import { deeds } from "./deeds";
import { likeness, plain } from "./likeness";
import { orders } from "./orders.svelte";

const KEY = "recent";
const MOST_RECENT = 8;
const MOST_SHOWN = 50;
const FAR = 3;

/** One line of the palette. */
export interface Entry {
  id: string;
  name: string;
  /** Said beside the name, and found as well. */
  note: string;
  icon: Component;
  keys?: string;
  /** Found, but not shown before something was typed: there are too many. */
  isHidden?: boolean;
  act: () => void;
}

const ICONS: Record<Order, Component> = { start: Play, stop: Square, restart: RotateCw, kill: Zap };

/** All that can be found, by what is known anyway: nothing is asked. */
export function entries(t: Texts): Entry[] {
  return [...ofServers(t), ...ofNodes(), ...ofDeeds(t), ...ofOrders(t)];
}

function servers() {
  return [...(session.lists?.servers.rows.values() ?? [])].sort((one, other) => one.name.localeCompare(other.name));
}

function ofServers(t: Texts): Entry[] {
  return servers().map((server) => ({
    id: `server ${server.id}`,
    name: server.name,
    note: `${t.status[server.status]} · ${server.node_id}`,
    icon: ServerIcon,
    act: () => void navigate("/servers/:id", { params: { id: server.id } }),
  }));
}

function ofNodes(): Entry[] {
  if (!session.may("nodes.manage")) return [];
  return [...(session.lists?.nodes.rows.values() ?? [])].map((node) => ({
    id: `node ${node.id}`,
    name: node.name,
    note: node.id,
    icon: HardDrive,
    act: () => void navigate("/nodes/:id", { params: { id: node.id } }),
  }));
}

function ofDeeds(t: Texts): Entry[] {
  return deeds()
    .filter((deed) => deed.fits && deed.group !== "order")
    .map(({ keys, name, act }) => ({ id: `keys ${keys}`, name: name(t), note: "", icon: Command, keys, act }));
}

function ofOrders(t: Texts): Entry[] {
  const mine = ORDERS.filter((kind) => session.may(`servers.${kind}`));
  return servers().flatMap((server) =>
    mine
      .filter((kind) => isSensible(kind, server))
      .map((kind) => ({
        id: `${kind} ${server.id}`,
        name: t.palette[kind](server.name),
        note: server.node_id,
        icon: ICONS[kind],
        isHidden: true,
        act: () => void orders.give(kind, server),
      })),
  );
}

/** The best first; of equals what was chosen most recently. What is far from the best is left out. */
export function found(all: Entry[], wanted: string): Entry[] {
  const asked = plain(wanted.trim());
  const recent = remembered();
  const rank = (entry: Entry): number => (recent.includes(entry.id) ? recent.indexOf(entry.id) : recent.length);
  const rated = all
    .filter((entry) => asked || !entry.isHidden || recent.includes(entry.id))
    .map((entry) => ({ entry, score: asked ? rate(entry, asked) : 1 }));
  const best = Math.max(...rated.map(({ score }) => score), 1);
  return rated
    .filter(({ score }) => score * FAR > best)
    .sort((one, other) => other.score - one.score || rank(one.entry) - rank(other.entry))
    .slice(0, MOST_SHOWN)
    .map(({ entry }) => entry);
}

/** What does something comes after what only leads somewhere, unless it was named. */
function rate({ name, note, isHidden }: Entry, asked: string): number {
  const liked = likeness(asked, plain(`${name} ${note}`));
  if (liked === 0) return 0;
  return liked + (plain(name).startsWith(asked) ? 1 : 0) - (isHidden ? 0.5 : 0);
}

export function remember(id: string): void {
  const others = remembered().filter((each) => each !== id);
  localStorage.setItem(KEY, JSON.stringify([id, ...others].slice(0, MOST_RECENT)));
}

function remembered(): string[] {
  const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
  return Array.isArray(kept) ? kept.map(String) : [];
}
