import type { Channel } from "../../live/channel.svelte";
import type { Sample, Subject } from "./plots";

export const RECENT_S = 60;

/** The samples of the last minute, as they come; `isKnown` once the panel said what there is. */
export class Recent<Of extends Sample = Sample> {
  samples = $state.raw<Of[]>([]);
  isKnown = $state(false);
  newest = $derived(this.samples.at(-1) ?? null);

  /** Gives what ends it. A topic has one listener, so of each subject there is one of these at a time. */
  follow(channel: Channel | null, { kind, id }: Subject): (() => void) | undefined {
    this.samples = [];
    this.isKnown = false;
    return channel?.subscribe(`${kind === "server" ? "figures" : "figures-node"}:${id}`, (frame) => {
      if (frame.kind === "recent") this.#take(frame.data as Of[]);
      else if (frame.kind === "sample") this.#take([...this.samples, frame.data as Of]);
    });
  }

  #take(samples: Of[]): void {
    const last = samples.at(-1);
    const since = last === undefined ? 0 : Date.parse(last.measured_at) - RECENT_S * 1000;
    this.samples = samples.filter((each) => Date.parse(each.measured_at) >= since);
    this.isKnown = true;
  }
}
