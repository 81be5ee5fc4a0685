import { SvelteMap } from "svelte/reactivity";
import type { Channel, Frame } from "./channel.svelte";
import { Gathered } from "./gathered";

const MOST = 100;
const SETTLED_MS = 400;
/** What is only scrolled past is not asked for. */

/** What is used at this moment by each of a list that is in sight, each second; a list may be longer than one connection has topics. */
export class Sight<Sample> {
  #newest = new SvelteMap<string, Sample>();
  #ids = new WeakMap<Element, string>();
  #inSight = new Set<Element>();
  #asked = new Map<string, () => void>();
  #settling: ReturnType<typeof setTimeout> | undefined;
  #samples = new Gathered<Sample>((newest) => {
    for (const [id, sample] of newest) this.#newest.set(id, sample);
  });
  #observer = new IntersectionObserver((entries) => this.#see(entries), { rootMargin: "100px 0px" });

  constructor(
    private readonly channel: Channel,
    private readonly kind: "figures" | "figures-node",
  ) {}

  newest(id: string): Sample | undefined {
    return this.#newest.get(id);
  }

  /** For the element that shows it. */
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
      const end = this.channel.subscribe(`${this.kind}:${id}`, (frame) => this.#take(id, frame));
      this.#asked.set(id, end);
    }
  }

  #take(id: string, frame: Frame): void {
    const sample = frame.kind === "recent" ? (frame.data as Sample[]).at(-1) : (frame.data as Sample);
    if (sample && (frame.kind === "recent" || frame.kind === "sample")) this.#samples.add(id, sample);
  }
}
