import { SvelteMap } from "svelte/reactivity";
import { api, the, type Operation, type Server } from "../api/client";
import type { components } from "../api/schema";
import type { Channel, Frame } from "./channel.svelte";

export type Event = components["schemas"]["EventView"];
export type Sample = components["schemas"]["ServerSample"];
const SECONDS = 60;
const EVENTS = 200;
/** Each line that is typed is one; they come and go in an instant, and the console shows what they do. */
const PASSING: readonly Operation["kind"][] = ["command", "status"];

/** One server as long as somebody looks at it: what it is, what is done to it and what happens to it. All tabs of its page share it. */
export class Watched {
  server = $state.raw<Server | null>(null);
  isGone = $state(false);
  /** Those that have not ended, by their id. */
  operations = new SvelteMap<string, Operation>();
  /** The last that failed while somebody looked, until another begins or it is dismissed. */
  failed = $state.raw<Operation | null>(null);
  /** What happened since somebody looks, the newest first. */
  events = $state.raw<Event[]>([]);
  /** What it used in the last minute, the newest last. */
  samples = $state.raw<Sample[]>([]);
  /** Counts what happened to it: what is read from its history is to be read anew. */
  stirred = $state(0);

  #ends: (() => void)[];

  constructor(
    channel: Channel,
    readonly id: string,
  ) {
    this.#ends = [
      channel.subscribe(`server:${id}`, (frame) => this.#take(frame)),
      channel.subscribe(`figures:${id}`, (frame) => this.#measure(frame)),
    ];
  }

  /** The one that its people wait for, if any. */
  get underWay(): Operation | null {
    return [...this.operations.values()].find((each) => !PASSING.includes(each.kind)) ?? null;
  }

  close(): void {
    for (const end of this.#ends) end();
  }

  #take(frame: Frame): void {
    if (frame.kind === "server") this.server = frame.data as Server;
    else if (frame.kind === "subscribed") void this.#lookAgain();
    else if (frame.kind === "operation") this.#follow(frame.data as Operation);
    else if (frame.kind === "event") this.#hear(frame.data as Event);
    else if (["removed", "revoked", "error"].includes(frame.kind)) this.isGone = true;
  }

  #hear(event: Event): void {
    this.events = [event, ...this.events].slice(0, EVENTS);
    this.stirred += 1;
  }

  #follow(operation: Operation): void {
    this.stirred += 1;
    if (operation.state === "queued" || operation.state === "running") {
      if (!this.operations.has(operation.id) && !PASSING.includes(operation.kind)) this.failed = null;
      this.operations.set(operation.id, operation);
      return;
    }
    this.operations.delete(operation.id);
    if (operation.state === "failed" && operation.code !== "CANCELLED") this.failed = operation;
  }

  /** Operations that ended while the connection was away are not told any more. */
  async #lookAgain(): Promise<void> {
    for (const operation_id of [...this.operations.keys()]) {
      const asked = the(api.GET("/api/operations/{operation_id}", { params: { path: { operation_id } } }));
      const found = await asked.catch(() => null);
      if (found) this.#follow(found);
    }
  }

  #measure(frame: Frame): void {
    if (frame.kind === "recent") this.samples = frame.data as Sample[];
    else if (frame.kind === "sample") this.samples = [...this.samples, frame.data as Sample].slice(-SECONDS);
  }
}
