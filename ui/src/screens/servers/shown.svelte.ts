import { ORDERS, type Order } from "../../api/orders";
import { session } from "../../state/session.svelte";
import { arranged, counted, STATUSES } from "./arranging";
import { filter } from "./filter.svelte";
import type { Glance } from "./glance.svelte";
import { Selection } from "./selection.svelte";

/** What the screen shows of all servers: those that the filter lets through, in their order, and which of them are selected. */
export class Shown {
  readonly selection = new Selection();
  readonly listing = $derived(session.lists?.servers);
  readonly all = $derived([...(this.listing?.rows.values() ?? [])]);
  readonly #matching = $derived(this.all.filter((server) => filter.matchesRest(server)));
  readonly servers = $derived(
    arranged(
      this.#matching.filter((server) => filter.matchesStatus(server)),
      filter.column,
      filter.isDescending,
      (server) => this.glance.of(server),
    ),
  );
  readonly ids = $derived(this.servers.map((server) => server.id));
  readonly picked = $derived(this.all.filter((server) => this.selection.ids.has(server.id)));
  /** What one may order many servers to do. */
  readonly orders = $derived<Order[]>(ORDERS.filter((kind) => session.may(`servers.${kind}`)));
  readonly #byStatus = $derived(counted(this.#matching.map((server) => server.status)));
  /** How many there would be of each, whatever status is asked for. */
  readonly statuses = $derived(
    STATUSES.map((status) => [status, this.#byStatus.get(status) ?? 0] as const).filter(
      ([status, count]) => count > 0 || filter.statuses.includes(status),
    ),
  );
  readonly tags = $derived([...new Set(this.all.flatMap((server) => server.tags))].sort());
  readonly nodes = $derived([...new Set(this.all.map((server) => server.node_id))].sort());
  readonly #nodeRows = $derived(session.may("nodes.manage") ? session.lists?.nodes : undefined);
  /** Known to those alone who may look after nodes. */
  readonly hasNoNode = $derived(this.#nodeRows?.isWhole === true && this.#nodeRows.rows.size === 0);

  constructor(readonly glance: Glance) {}

  nodeName(id: string): string {
    return this.#nodeRows?.rows.get(id)?.name ?? id;
  }
}
