import { untrack } from "svelte";
import { SvelteMap } from "svelte/reactivity";
import type { Channel, Frame } from "./channel.svelte";
import { Gathered } from "./gathered";

/** A list that the live channel keeps true: the rows by their id, as new as what is drawn next. `isWhole` once all of it has come. */
export class Listing<Row extends { id: string }> {
  rows = new SvelteMap<string, Row>();
  isWhole = $state(false);
  /** How often it came whole: what had ended before is not in it, whatever was known of that. */
  timesWhole = $state(0);
  #coming: Map<string, Row> | null = null;
  #changes = new Gathered<Row | null>((newest) => this.#change(newest));

  #isOpen = false;

  constructor(
    private readonly channel: Channel,
    private readonly topic: string,
  ) {}

  /** Itself, asked for from the first time on. */
  opened(): this {
    if (!this.#isOpen) untrack(() => this.channel.subscribe(this.topic, (frame) => this.#take(frame)));
    this.#isOpen = true;
    return this;
  }

  #take(frame: Frame): void {
    if (frame.kind === "page") this.#takePage(frame);
    else if (frame.kind === "changed") this.#put(frame.data as Row);
    else if (frame.kind === "revoked") this.#forget();
    else if (frame.kind === "removed") this.#drop((frame.data as { id: string }).id);
  }

  /** What was there before stays to be seen until the new list is whole. */
  #takePage(frame: Frame): void {
    if (frame.first) this.#coming = new Map();
    for (const row of frame.data as Row[]) this.#coming?.set(row.id, row);
    if (frame.more || this.#coming === null) return;
    const whole = this.#coming;
    this.#coming = null;
    this.#changes.clear();
    for (const id of this.rows.keys()) if (!whole.has(id)) this.rows.delete(id);
    for (const [id, row] of whole) this.rows.set(id, row);
    this.isWhole = true;
    this.timesWhole += 1;
  }

  #put(row: Row): void {
    this.#coming?.set(row.id, row);
    this.#changes.add(row.id, row);
  }

  #drop(id: string): void {
    this.#coming?.delete(id);
    this.#changes.add(id, null);
  }

  #change(newest: ReadonlyMap<string, Row | null>): void {
    for (const [id, row] of newest) {
      if (row === null) this.rows.delete(id);
      else this.rows.set(id, row);
    }
  }

  #forget(): void {
    this.#coming = null;
    this.#changes.clear();
    this.rows.clear();
    this.isWhole = false;
  }
}
