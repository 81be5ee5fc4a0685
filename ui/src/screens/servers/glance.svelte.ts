import { SvelteMap } from "svelte/reactivity";
import type { Figures, Server, Status } from "../../api/client";
import type { components } from "../../api/schema";
import type { Channel, Frame } from "../../live/channel.svelte";
import { Gathered } from "../../live/gathered";

type Sample = components["schemas"]["ServerSample"];
const UP: readonly Status[] = ["RUNNING", "STARTING", "STOPPING"];
const MOST = 100;
const SETTLED_MS = 400;
/** What is only scrolled past is not asked for. */

export function isUp(server: Server): boolean {
  return UP.includes(server.status);
}

/** What servers use at this moment: of those that are in sight, each second; of the others, what the list knew when they last changed. */
export class Glance {
  #newest = new SvelteMap<string, Sample>();
  #ids = new WeakMap<Element, string>();
  #inSight = new Set<Element>();
  #asked = new Map<string, () => void>();
  #settling: ReturnType<typeof setTimeout> | undefined;
  #samples = new Gathered<Sample>((newest) => {
    for (const [id, sample] of newest) this.#newest.set(id, sample);
  });
  #observer = new IntersectionObserver((entries) => this.#see(entries), { rootMargin: "100px 0px" });

  constructor(private readonly channel: Channel) {}

  /** What is not up uses nothing, whatever was measured before. */
  of(server: Server): Figures | null {
    if (!isUp(server)) return null;
    const sample = this.#newest.get(server.id);
    return sample && sample.measured_at >= (server.measured_at ?? "") ? sample : server.figures;
  }

  /** For the element that shows a server. */
  watch(id: string): (element: Element) => () => void {
    return (element) => {
      this.#ids.set(element, id);
      this.#observer.observe(element);
      return () => {
        this.#observer.unobserve(element);
        this.#inSight.delete(element);
        this.#settle();
      };
    };
  }

  close(): void {
    clearTimeout(this.#settling);
    this.#observer.disconnect();
    for (const end of this.#asked.values()) end();
    this.#asked.clear();
  }

  #see(entries: IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) this.#inSight.add(target);
      else this.#inSight.delete(target);
    }
    this.#settle();
  }

  #settle(): void {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#ask(), SETTLED_MS);
  }

  #ask(): void {
    const wanted = new Set([...this.#inSight].slice(0, MOST).map((element) => this.#ids.get(element) ?? ""));
    for (const [id, end] of this.#asked) {
      if (wanted.has(id)) continue;
      end();
      this.#asked.delete(id);
    }
    for (const id of wanted) {
      if (this.#asked.has(id)) continue;
      const end = this.channel.subscribe(`figures:${id}`, (frame) => this.#take(id, frame));
      this.#asked.set(id, end);
    }
  }

  #take(id: string, frame: Frame): void {
    const sample = frame.kind === "recent" ? (frame.data as Sample[]).at(-1) : (frame.data as Sample);
    if (sample && (frame.kind === "recent" || frame.kind === "sample")) this.#samples.add(id, sample);
  }
}
