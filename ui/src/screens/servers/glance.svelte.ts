import type { Figures, Server, ServerSample, Status } from "../../api/client";
import { Sight } from "../../live/sight.svelte";

const UP: readonly Status[] = ["RUNNING", "STARTING", "STOPPING"];

export function isUp(server: Server): boolean {
  return UP.includes(server.status);
}

/** What servers use at this moment: those that are in sight as it is measured; the others as the list knew when they last changed. */
export class Glance extends Sight<ServerSample> {
  /** What is not up uses nothing, whatever was measured before. */
  of(server: Server): Figures | null {
    if (!isUp(server)) return null;
    const sample = this.newest(server.id);
    return sample && sample.measured_at >= (server.measured_at ?? "") ? sample : server.figures;
  }
}
