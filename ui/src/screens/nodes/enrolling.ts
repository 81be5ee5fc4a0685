import { api, the, type Node } from "../../api/client";
import type { components } from "../../api/schema";

export type Token = components["schemas"]["Enrolment"];

/** An id that fits the name and that no node has. */
export function proposed(name: string, taken: ReadonlySet<string>): string {
  const plain = name
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, "-")
    .replace(/^[^a-z0-9]+|-+$/g, "")
    .slice(0, 60);
  const stem = plain || "node";
  for (let number = 1; ; number += 1) {
    const id = number === 1 ? stem : `${stem}-${number}`;
    if (!taken.has(id)) return id;
  }
}

/** As a link needs it, without a path; null where it is no address. */
export function origin(address: string): string | null {
  if (!/^(https?|wss?):\/\//i.test(address.trim())) return null;
  const url = URL.parse(address.trim());
  return url?.host ? `${url.protocol.replace("ws", "http")}//${url.host}` : null;
}

export function isLoopback(address: string): boolean {
  const host = URL.parse(address)?.hostname ?? "";
  return host === "localhost" || host.endsWith(".localhost") || host.startsWith("127.") || host === "[::1]";
}

export async function makeNode(id: string, name: string): Promise<Node> {
  return the(api.POST("/api/nodes", { body: { id, name } }));
}

export async function makeToken(id: string): Promise<Token> {
  return the(api.POST("/api/nodes/{node_id}/enrolment", { params: { path: { node_id: id } } }));
}
