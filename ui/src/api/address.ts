import type { Server } from "./client";

const ANYWHERE = ["0.0.0.0", "::"];

/** Where players find it: its first port, and the node's address where the server is bound to one. Null without ports. */
export function addressOf(server: Server): { host: string | null; port: string } | null {
  const first = server.ports[0];
  if (!first) return null;
  if (ANYWHERE.includes(first.address)) return { host: null, port: `${first.external}` };
  return { host: first.address.includes(":") ? `[${first.address}]` : first.address, port: `${first.external}` };
}
