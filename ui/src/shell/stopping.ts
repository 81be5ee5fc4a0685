import type { Server } from "../api/client";
import { duration } from "../text/figures";
import { words } from "../text/words.svelte";

/** How a server is stopped, as a sentence. */
export function stopping({ command, signal, timeout }: Server["stop"]): string {
  const wait = words.t.orders.stop.wait(duration(timeout));
  return command ? words.t.orders.stop.command(command, wait) : words.t.orders.stop.signal(signal, wait);
}
