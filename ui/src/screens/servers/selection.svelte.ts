import { SvelteSet } from "svelte/reactivity";

/** Servers that were picked out, by their ids. */
export class Selection {
  readonly ids = new SvelteSet<string>();
  #last: string | null = null;

  /** With `isRange` all from the one that was picked last, in the order in which they are shown, become what this one becomes. */
  toggle(id: string, isRange: boolean, shown: readonly string[]): void {
    const isPicked = !this.ids.has(id);
    const [from, to] = [shown.indexOf(this.#last ?? ""), shown.indexOf(id)].sort((one, other) => one - other);
    const range = isRange && from !== undefined && from >= 0 ? shown.slice(from, to! + 1) : [id];
    for (const each of range) {
      if (isPicked) this.ids.add(each);
      else this.ids.delete(each);
    }
    this.#last = id;
  }

  set(ids: Iterable<string>, isPicked: boolean): void {
    for (const id of ids) {
      if (isPicked) this.ids.add(id);
      else this.ids.delete(id);
    }
  }

  clear(): void {
    this.ids.clear();
    this.#last = null;
  }
}
