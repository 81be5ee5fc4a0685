import type { Node, NodeSample } from "../../api/client";

export type Standing = "online" | "away" | "disabled" | "fresh";

/** How a node stands to the panel. */
export function standing(node: Node): Standing {
  if (!node.enabled) return "disabled";
  if (node.online) return "online";
  return node.last_seen_at === null ? "fresh" : "away";
}

/** The disk that is fullest, of those that are no boot partition. */
export function fullest(sample: NodeSample | null): NodeSample["disks"][number] | null {
  const SMALLEST = 4 * 2 ** 30;
  const disks = (sample?.disks ?? []).filter((disk) => disk.total_bytes >= SMALLEST);
  return disks.sort((one, other) => other.used_bytes / other.total_bytes - one.used_bytes / one.total_bytes)[0] ?? null;
}
