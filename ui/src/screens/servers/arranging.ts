import type { Figures, Server, Status } from "../../api/client";

export const COLUMNS = ["name", "status", "players", "cpu", "memory", "node"] as const;
export type Column = (typeof COLUMNS)[number];

export const isColumn = (name: string): name is Column => (COLUMNS as readonly string[]).includes(name);

/** As they concern somebody who looks: what needs a hand first. */
export const STATUSES: readonly Status[] = [
  "CRASHED",
  "INSTALL_FAILED",
  "UNKNOWN",
  "STARTING",
  "STOPPING",
  "INSTALLING",
  "RUNNING",
  "OFFLINE",
  "SUSPENDED",
];

export type Using = (server: Server) => Figures | null;

const names = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

const BY: Record<Column, (using: Using) => (server: Server) => number | string> = {
  name: () => (server) => server.name,
  node: () => (server) => server.node_id,
  status: () => (server) => STATUSES.indexOf(server.status),
  players: (using) => (server) => using(server)?.players ?? -1,
  cpu: (using) => (server) => using(server)?.cpu_percent ?? -1,
  memory: (using) => (server) => using(server)?.memory_used_bytes ?? -1,
};

/** Those that are alike in the column stand by their names, whichever way round the others are. */
export function arranged(servers: Server[], column: Column, isDescending: boolean, using: Using): Server[] {
  const by = BY[column](using);
  const turn = isDescending ? -1 : 1;
  const keyed = servers.map((server) => ({ server, key: by(server) }));
  keyed.sort((one, other) => turn * compare(one.key, other.key) || byName(one.server, other.server));
  return keyed.map(({ server }) => server);
}

function compare(one: number | string, other: number | string): number {
  if (typeof one === "number" && typeof other === "number") return one - other;
  return names.compare(String(one), String(other));
}

function byName(one: Server, other: Server): number {
  return names.compare(one.name, other.name) || (one.id < other.id ? -1 : 1);
}

export function counted<Value>(values: Iterable<Value>): Map<Value, number> {
  const counts = new Map<Value, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}
