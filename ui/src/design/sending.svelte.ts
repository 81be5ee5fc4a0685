import { tick } from "svelte";
import { Failed } from "../api/client";

/** A form that is sent, and what the panel said was wrong with it, each at its field. Fields are called as the panel calls their places. */
export class Sending {
  busy = $state(false);
  error = $state.raw<unknown>(null);
  /** All that was wrong stands at its field. */
  isMarked = $state(false);
  problems = $state<Record<string, string>>({});

  /** A field's name in the form, and what is wrong with it. */
  at(name: string): { name: string; problem: string | undefined } {
    return { name, problem: this.problems[name] };
  }

  /** Whoever changes a field is not told any more what was wrong with it. */
  forget(event: Event): void {
    const { name } = event.target as HTMLInputElement;
    if (name) delete this.problems[name];
  }

  /** Does it, and gives what came of that; null where it failed: then the first field at fault has the focus. */
  async send<Result>(element: HTMLFormElement, work: () => Promise<Result>): Promise<Result | null> {
    this.error = null;
    this.problems = {};
    this.busy = true;
    try {
      return await work();
    } catch (found) {
      this.error = found;
      await this.#mark(element, found);
      return null;
    } finally {
      this.busy = false;
    }
  }

  async #mark(element: HTMLFormElement, error: unknown): Promise<void> {
    const wrong = (error instanceof Failed && error.problem?.fields) || [];
    const controls = [...element.elements].filter((each) => each instanceof HTMLElement) as HTMLInputElement[];
    const places = wrong.map(({ field }) => nearest(controls, field));
    wrong.forEach(({ message }, at) => {
      const name = places[at]?.name;
      if (name !== undefined) this.problems[name] ??= message;
    });
    this.isMarked = wrong.length > 0 && places.every((each) => each !== undefined);
    const first = controls.find((each) => places.includes(each));
    for (let part = first?.closest("details"); part; part = part.parentElement?.closest("details")) part.open = true;
    await tick();
    first?.focus();
  }
}

/** The control of that place, or of the next around it, or else the first within it. */
function nearest(controls: HTMLInputElement[], place: string): HTMLInputElement | undefined {
  for (let path = place; path; path = path.slice(0, Math.max(0, path.lastIndexOf(".")))) {
    const found = controls.find((each) => each.name === path);
    if (found) return found;
  }
  return controls.find((each) => each.name.startsWith(`${place}.`));
}
