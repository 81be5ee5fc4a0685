import { api, Failed, the, type Operation, type Server } from "../../api/client";
import { newKey, order, type Order } from "../../api/orders";
import type { Channel } from "../../live/channel.svelte";
import type { Listing } from "../../live/listing.svelte";

const AT_ONCE = 6;
const AGAIN_MS = 1000;

type State = "waiting" | "asked" | "accepted" | "done" | "failed" | "refused" | "left";

/** One server's part of it. */
export class Item {
  state = $state<State>("waiting");
  /** What was refused or failed, in the panel's words. */
  error = $state.raw<unknown>(null);
  operation = $state.raw<Operation | null>(null);
  readonly key = newKey();

  constructor(readonly server: Server) {}

  get isOver(): boolean {
    return ["done", "failed", "refused", "left"].includes(this.state);
  }

  get why(): string {
    return this.operation?.message ?? (this.error instanceof Failed ? (this.error.problem?.detail ?? "") : "");
  }

  take(operation: Operation): void {
    this.operation = operation;
    if (operation.state === "succeeded") this.state = "done";
    else if (operation.state === "failed") this.state = "failed";
    else this.state = "accepted";
  }
}

/** One order for many servers, a few at once; and what comes of each. */
export class Bulk {
  readonly items: Item[];
  readonly count = $derived.by(() => {
    const of = (...states: State[]): number => this.items.filter((item) => states.includes(item.state)).length;
    return {
      over: of("done", "failed", "refused", "left"),
      done: of("done"),
      waiting: of("waiting"),
      all: this.items.length,
    };
  });
  readonly isOver = $derived(this.count.over === this.count.all);
  readonly missed = $derived.by(() => this.items.filter((item) => item.state === "failed" || item.state === "refused"));

  constructor(
    readonly kind: Order,
    servers: readonly Server[],
    private readonly channel: Channel,
  ) {
    this.items = servers.map((server) => new Item(server));
    for (let worker = 0; worker < AT_ONCE; worker += 1) void this.#work();
  }

  /** Those that were not asked yet are left as they are. */
  callOff(): void {
    for (const item of this.items) if (item.state === "waiting") item.state = "left";
  }

  /** What the live channel says of those under way. */
  follow(operations: Listing<Operation>): void {
    for (const item of this.items) {
      const told = item.operation && operations.rows.get(item.operation.id);
      if (told && told !== item.operation) item.take(told);
    }
  }

  /** A list that came anew does not have what ended meanwhile. */
  async ask(operations: Listing<Operation>): Promise<void> {
    for (const item of this.items) {
      const id = item.operation?.id;
      if (id === undefined || item.isOver || operations.rows.has(id)) continue;
      try {
        item.take(await the(api.GET("/api/operations/{operation_id}", { params: { path: { operation_id: id } } })));
      } catch (error) {
        if (!isUnheard(error)) this.#end(item, error, "failed");
      }
    }
  }

  async #work(): Promise<void> {
    for (let item = this.#next(); item; item = this.#next()) {
      item.state = "asked";
      await this.#give(item);
    }
  }

  #next(): Item | undefined {
    return this.items.find((item) => item.state === "waiting");
  }

  /** Until the panel was heard: by its key it is one order, however often it is sent. */
  async #give(item: Item): Promise<void> {
    while (item.state === "asked") {
      try {
        item.take(await order(this.kind, item.server.id, item.key));
      } catch (error) {
        if (!isUnheard(error)) this.#end(item, error, "refused");
        else await this.#pause();
      }
    }
  }

  #end(item: Item, error: unknown, state: State): void {
    item.error = error;
    item.state = state;
  }

  /** As long as the panel is away there is nobody to ask. */
  async #pause(): Promise<void> {
    do await new Promise((resume) => setTimeout(resume, AGAIN_MS));
    while (this.channel.state === "away");
  }
}

/** Nothing answered, or something before the panel did, such as a proxy. */
function isUnheard(error: unknown): boolean {
  return (
    !(error instanceof Failed) ||
    error.problem === null ||
    (error.problem.status >= 502 && error.problem.code === "UNEXPECTED")
  );
}
