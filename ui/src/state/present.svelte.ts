import { createSubscriber } from "svelte/reactivity";

/** The present moment, which goes on: what shows it is shown anew each second. */
class Present {
  #look = createSubscriber((update) => {
    const timer = setInterval(update, 1000);
    return () => clearInterval(timer);
  });

  /** Seconds since then, by this machine's clock; never less than none. */
  secondsSince(time: string): number {
    this.#look();
    return Math.max(0, (Date.now() - Date.parse(time)) / 1000);
  }
}

export const present = new Present();
