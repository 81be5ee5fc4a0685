import { untrack } from "svelte";
import { Failed } from "../../api/client";
import { byField, type FieldProblem } from "./types";

const PAUSE_MS = 250;

/** What the panel says of something that is being decided, asked again whenever that changes; the newest question's answer counts. */
export class Asked<Answer extends { problems: FieldProblem[] }> {
  answer = $state.raw<Answer | null>(null);
  error = $state.raw<unknown>(null);
  busy = $state(false);
  readonly problems = $derived.by(() => ({ ...byField(this.answer?.problems ?? []), ...this.#refused }));

  #refused = $state.raw<Record<string, string>>({});
  #question = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly ask: () => Promise<Answer>) {}

  /** In a moment, for somebody may be typing. */
  soon(): void {
    clearTimeout(this.#timer);
    const pause = untrack(() => (this.answer === null ? 0 : PAUSE_MS)); // an answer is no reason to ask again
    this.#timer = setTimeout(() => void this.now(), pause);
  }

  async now(): Promise<Answer | null> {
    clearTimeout(this.#timer);
    const question = ++this.#question;
    this.busy = true;
    try {
      const answer = await this.ask();
      if (question === this.#question) [this.answer, this.error, this.#refused] = [answer, null, {}];
      return answer;
    } catch (error) {
      if (question === this.#question) {
        this.error = error;
        this.#refused = byField((error instanceof Failed && error.problem?.fields) || []);
      }
      return null;
    } finally {
      if (question === this.#question) this.busy = false;
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#question++;
  }
}
