import type { NodeSample } from "../../api/client";
import type { Channel } from "../../live/channel.svelte";

/** What a node is measured to use, while somebody looks. */
export class Recent {
  newest = $state.raw<NodeSample | null>(null);

  /** Gives what ends it. */
  follow(channel: Channel | null, id: string): (() => void) | undefined {
    return channel?.subscribe(`figures-node:${id}`, (frame) => {
      if (frame.kind === "recent") this.newest = (frame.data as NodeSample[]).at(-1) ?? null;
      else if (frame.kind === "sample") this.newest = frame.data as NodeSample;
    });
  }
}
