import { api, the, type Node, type Server } from "../../api/client";
import type { components } from "../../api/schema";
import { session } from "../../state/session.svelte";
import { bytes } from "../../text/figures";
import { words } from "../../text/words.svelte";

type Sample = Pick<
  components["schemas"]["NodeSample"],
  "memory_total_bytes" | "memory_used_bytes" | "cpu_cores" | "cpu_percent" | "disks"
>;

/** What a node has, what its servers may use of it, and what is free there, as sentences for people. */
export class Room {
  #sample = $state.raw<Sample | null>(null);

  constructor(private readonly nodeId: string) {
    void this.#look();
  }

  get node(): Node | undefined {
    return session.lists?.nodes.rows.get(this.nodeId);
  }

  get servers(): Server[] {
    return [...(session.lists?.servers.rows.values() ?? [])].filter((server) => server.node_id === this.nodeId);
  }

  get memory(): string | undefined {
    const total = this.#sample?.memory_total_bytes ?? this.node?.system?.memory_bytes;
    if (total == null) return undefined;
    const promised = this.servers.reduce((sum, server) => sum + server.limits.memory, 0);
    const used = this.#sample?.memory_used_bytes;
    const free = used == null ? null : this.#bytes(total - used);
    return words.t.recipe.room.memory(this.#bytes(total), free, this.#bytes(promised));
  }

  get cpu(): string | undefined {
    const cores = this.#sample?.cpu_cores;
    return cores == null ? undefined : words.t.recipe.room.cpu(cores, Math.round(this.#sample?.cpu_percent ?? 0));
  }

  get disk(): string | undefined {
    const free = this.#sample?.disks.map((disk) => disk.total_bytes - disk.used_bytes) ?? [];
    return free.length === 0 ? undefined : words.t.recipe.room.disk(this.#bytes(Math.max(...free)));
  }

  #bytes(value: number): string {
    return bytes(value, words.language);
  }

  /** A node that was never measured has nothing to tell, and one need not be told of that. */
  async #look(): Promise<void> {
    const path = { node_id: this.nodeId };
    const graph = await the(api.GET("/api/nodes/{node_id}/figures", { params: { path } })).catch(() => null);
    this.#sample = graph?.newest ?? null;
  }
}
