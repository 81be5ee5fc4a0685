import { api, the } from "../../api/client";
import type { components } from "../../api/schema";

export type Range = components["schemas"]["PortRangeView"];
type Held = components["schemas"]["AllocationView"];

const AT_ONCE = 50;

/** A node's ranges of ports, and who holds which; the first page of the latter, and more when it is asked for. */
export class Ports {
  ranges = $state.raw<Range[] | null>(null);
  held = $state.raw<Held[]>([]);
  error = $state.raw<unknown>(null);
  #cursor = $state<string | null>(null);
  #asked = 0;

  constructor(readonly nodeId: string) {}

  get hasMore(): boolean {
    return this.#cursor !== null;
  }

  /** All anew; the newest question is the one that counts. */
  async load(): Promise<void> {
    const asked = ++this.#asked;
    const path = { node_id: this.nodeId };
    try {
      const [ranges, page] = await Promise.all([
        the(api.GET("/api/nodes/{node_id}/ports", { params: { path } })),
        this.#page(null),
      ]);
      if (asked !== this.#asked) return;
      [this.ranges, this.held, this.#cursor, this.error] = [ranges.items, page.items, page.next_cursor, null];
    } catch (found) {
      if (asked === this.#asked) this.error = found;
    }
  }

  async more(): Promise<void> {
    const asked = this.#asked;
    const page = await this.#page(this.#cursor);
    if (asked === this.#asked) [this.held, this.#cursor] = [[...this.held, ...page.items], page.next_cursor];
  }

  #page(cursor: string | null) {
    const params = {
      path: { node_id: this.nodeId },
      query: { limit: AT_ONCE, ...(cursor === null ? {} : { cursor }) },
    };
    return the(api.GET("/api/nodes/{node_id}/allocations", { params }));
  }
}
