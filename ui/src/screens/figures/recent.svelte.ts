import type { Channel } from "../../live/channel.svelte";
import { RECENT_S, type Sample, type Subject } from "./plots";

/** The samples of the last minute, as they come; null until the panel said what there is. A topic has one listener, so there is one of these at a time. */
export class Recent<Of extends Sample = Sample> {
  samples = $state.raw<Of[] | null>(null);

  /** Gives what ends it. */
  follow(channel: Channel | null, { kind, id }: Subject): (() => void) | undefined {
    this.samples = null;
    return channel?.subscribe(`${kind === "server" ? "figures" : "figures-node"}:${id}`, (frame) => {
      if (frame.kind === "recent") this.samples = frame.data as Of[];
      else if (frame.kind === "sample") this.#add(frame.data as Of);
    });
  }

  #add(sample: Of): void {
    const since = Date.parse(sample.measured_at) - RECENT_S * 1000;
    this.samples = [...(this.samples ?? []), sample].filter((each) => Date.parse(each.measured_at) >= since);
  }
}
