import { createSubscriber } from "svelte/reactivity";

/** The time, which goes on by itself: one clock for all that show an age, and none while nothing does. */
class Now {
  #tick = createSubscriber((update) => {
    const timer = setInterval(update, 1000);
    return () => clearInterval(timer);
  });

  /** Seconds since a moment. */
  since(time: string): number {
    this.#tick();
    return (Date.now() - Date.parse(time)) / 1000;
  }
}

export const now = new Now();
