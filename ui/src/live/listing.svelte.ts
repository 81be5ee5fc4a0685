import { SvelteMap } from "svelte/reactivity";
import type { Channel, Frame } from "./channel.svelte";

/** A list that the live channel keeps true: the rows by their id. `isWhole` once all of it has come. */
export class Listing<Row extends { id: string }> {
  rows = new SvelteMap<string, Row>();
  isWhole = $state(false);
  #coming: Map<string, Row> | null = null;

  constructor(channel: Channel, topic: string) {
    channel.subscribe(topic, (frame) => this.#take(frame));
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
    for (const id of this.rows.keys()) if (!whole.has(id)) this.rows.delete(id);
    for (const [id, row] of whole) this.rows.set(id, row);
    this.isWhole = true;
  }

  #put(row: Row): void {
    this.#coming?.set(row.id, row);
    this.rows.set(row.id, row);
  }

  #forget(): void {
    this.#coming = null;
    this.rows.clear();
    this.isWhole = false;
  }

  #drop(id: string): void {
    this.#coming?.delete(id);
    this.rows.delete(id);
  }
}
