import { doubled } from "../../design/KeyValues.svelte";
import { Sending } from "../../design/sending.svelte";
import { empty, type Form } from "./recipe";

/** A recipe in someone's hands, and what the panel said when it was sent. */
export class Editing extends Sending {
  form = $state<Form>(empty());

  override async send<Result>(element: HTMLFormElement, work: () => Promise<Result>): Promise<Result | null> {
    if (doubled(this.form.environment).size === 0) return super.send(element, work);
    this.error = null;
    this.problems = {};
    element.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
    return null;
  }
}
