/** Which ports of a node are taken, as far as the panel's servers tell. */

import type { Server } from "../../api/client";
import { EVERYWHERE, type PortRow } from "./recipe";

const ANY = [EVERYWHERE, "::"];
const LAST = 65535;

/** Who holds a port of a node: another server, by its name. */
export function holder(servers: Iterable<Server>, nodeId: string, wanted: PortRow, but?: string): string | null {
  for (const server of servers) {
    if (server.node_id !== nodeId || server.id === but) continue;
    if (server.ports.some((port) => isSamePlace(port, wanted))) return server.name;
  }
  return null;
}

function isSamePlace(port: Omit<PortRow, "isProposed">, wanted: Omit<PortRow, "isProposed">): boolean {
  if (port.external !== wanted.external || port.protocol !== wanted.protocol) return false;
  return port.address === wanted.address || ANY.includes(port.address) || ANY.includes(wanted.address);
}

/** Gives each row whose outer port is the page's to choose the game's own, or the next above that is free. */
export function propose(rows: PortRow[], servers: readonly Server[], nodeId: string, but?: string): void {
  for (const row of rows) {
    if (!row.isProposed) continue;
    row.external = row.internal === null ? null : free(row, rows, servers, nodeId, but);
  }
}

function free(row: PortRow, rows: PortRow[], servers: readonly Server[], nodeId: string, but?: string): number | null {
  for (let external = row.internal ?? 1; external <= LAST; external++) {
    const wanted = { ...row, external };
    const isOwn = rows.some((other) => other !== row && isSamePlace(other, wanted));
    if (!isOwn && holder(servers, nodeId, wanted, but) === null) return external;
  }
  return null;
}
