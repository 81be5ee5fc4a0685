import { SvelteMap } from "svelte/reactivity";
import { api, the, type Operation } from "../../api/client";
import { CRASHED, happening, PLAYERS, STATUS, type Happening, type Told } from "./happenings";
import type { Texts } from "../../text/en";

export const FILTERS = ["all", "orders", "crashes", "events"] as const;
export type Filter = (typeof FILTERS)[number];

const PAGE = 30;
const KINDS: Record<Filter, readonly string[]> = {
  all: [STATUS, CRASHED, PLAYERS],
  orders: [],
  crashes: [CRASHED],
  events: [STATUS, PLAYERS],
};
/** Asking what a server uses changes nothing. */
const NOT_SHOWN: readonly Operation["kind"][] = ["status"];

export type Entry =
  | { key: string; at: number; operation: Operation; happening: null }
  | { key: string; at: number; operation: null; happening: Happening };

/** What the page is told of a server while it is open. */
export interface Watching {
  readonly id: string;
  readonly operations: ReadonlyMap<string, Operation>;
  readonly events: readonly Told[];
}

/** What was done to a server and what happened to it, the latest first: two lists of the panel's, as one. */
export class Timeline {
  error = $state.raw<unknown>(null);
  isAsking = $state(true);
  #operations = new SvelteMap<string, Operation>();
  #events = new SvelteMap<number, Told>();
  /** Where the earlier ones begin; null where there are none. */
  #ordersFrom = $state<string | null>(null);
  #eventsFrom = $state<string | null>(null);

  constructor(
    readonly id: string,
    readonly filter: Filter,
    private readonly maySeeEvents: boolean,
  ) {}

  get hasMore(): boolean {
    return this.#ordersFrom !== null || this.#eventsFrom !== null;
  }

  /** Asks for the newest, also when some are known already. */
  async look(): Promise<void> {
    const isFirst = this.#operations.size + this.#events.size === 0;
    await this.#ask(async () => {
      const [orders, events] = await Promise.all([this.#orders(), this.#happened()]);
      if (!isFirst) return;
      this.#ordersFrom = orders;
      this.#eventsFrom = events;
    });
  }

  async lookFurther(): Promise<void> {
    await this.#ask(async () => {
      const [orders, events] = [this.#ordersFrom, this.#eventsFrom];
      [this.#ordersFrom, this.#eventsFrom] = await Promise.all([
        orders === null ? null : this.#orders(orders),
        events === null ? null : this.#happened(events),
      ]);
    });
  }

  /** Takes in what is told live. Of an operation's end nothing is told where it came too fast to be seen under way: then it is asked for. */
  take({ operations, events }: Watching): void {
    let isExplained = false;
    for (const operation of this.filter === "all" || this.filter === "orders" ? operations.values() : []) {
      if (this.#operations.get(operation.id) !== operation) isExplained = true;
      this.#operations.set(operation.id, operation);
    }
    for (const told of events) {
      if (this.#events.has(told.id) || !KINDS[this.filter].includes(told.kind)) continue;
      this.#events.set(told.id, told);
      isExplained = true;
    }
    const haveEnded = [...this.#operations.values()].some((each) => isOpen(each) && !operations.has(each.id));
    if (haveEnded || !isExplained) void this.look();
  }

  /** Down to where both lists are known. */
  entries(t: Texts): Entry[] {
    const orders = [...this.#operations.values()]
      .filter(({ kind }) => !NOT_SHOWN.includes(kind))
      .map((operation): Entry => ({
        key: operation.id,
        at: Date.parse(operation.created_at),
        operation,
        happening: null,
      }));
    const happened = [...this.#events.values()].flatMap((told) => this.#shown(told, t));
    const until = Math.max(
      this.#ordersFrom === null ? -Infinity : oldest([...this.#operations.values()].map((each) => each.created_at)),
      this.#eventsFrom === null ? -Infinity : oldest([...this.#events.values()].map((each) => each.happened_at)),
    );
    return [...orders, ...happened].filter(({ at }) => at >= until).sort((one, other) => other.at - one.at);
  }

  /** Beside the order that brought a state about, that state says nothing new. */
  #shown(told: Told, t: Texts): Entry[] {
    const found = happening(told, t);
    const order = this.#operations.get(String(told.data["command_id"]));
    if (found === null || (this.filter === "all" && order !== undefined && told.kind === STATUS)) return [];
    return [{ key: String(told.id), at: found.at, operation: null, happening: found }];
  }

  async #ask(work: () => Promise<void>): Promise<void> {
    this.isAsking = true;
    try {
      await work();
      this.error = null;
    } catch (found) {
      this.error = found;
    } finally {
      this.isAsking = false;
    }
  }

  async #orders(cursor?: string): Promise<string | null> {
    if (this.filter !== "all" && this.filter !== "orders") return null;
    const query = { limit: PAGE, ...(cursor === undefined ? {} : { cursor }) };
    const page = await the(
      api.GET("/api/servers/{server_id}/operations", { params: { path: { server_id: this.id }, query } }),
    );
    for (const operation of page.items) this.#operations.set(operation.id, operation);
    return page.next_cursor;
  }

  async #happened(cursor?: string): Promise<string | null> {
    if (this.filter === "orders" || !this.maySeeEvents) return null;
    const query = { limit: PAGE, kind: [...KINDS[this.filter]], ...(cursor === undefined ? {} : { cursor }) };
    const page = await the(
      api.GET("/api/servers/{server_id}/events", { params: { path: { server_id: this.id }, query } }),
    );
    for (const told of page.items) this.#events.set(told.id, told);
    return page.next_cursor;
  }
}

function isOpen({ state }: Operation): boolean {
  return state === "queued" || state === "running";
}

function oldest(times: string[]): number {
  return Math.min(...times.map((each) => Date.parse(each)));
}
