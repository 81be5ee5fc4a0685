import { api, the } from "../../api/client";
import type { TemplateCard } from "../startup/types";

const AT_ONCE = 48;

/** The templates that there are, by words of theirs. */
export class Shelf {
  items = $state.raw<TemplateCard[] | null>(null);
  hasMore = $state(false);
  error = $state.raw<unknown>(null);
  text = $state("");
  #cursor: string | null = null;
  #question = 0;

  /** There are none at all. */
  get isEmpty(): boolean {
    return this.items?.length === 0 && this.text === "";
  }

  async find(text: string): Promise<void> {
    this.text = text;
    this.#cursor = null;
    await this.more();
  }

  async more(): Promise<void> {
    const question = ++this.#question;
    const query = {
      limit: AT_ONCE,
      ...(this.text.trim() && { text: this.text.trim() }),
      ...(this.#cursor && { cursor: this.#cursor }),
    };
    try {
      const page = await the(api.GET("/api/templates", { params: { query } }));
      if (question !== this.#question) return;
      this.items = [...(this.#cursor ? (this.items ?? []) : []), ...page.items];
      this.#cursor = page.next_cursor ?? null;
      this.hasMore = this.#cursor !== null;
      this.error = null;
    } catch (error) {
      if (question === this.#question) this.error = error;
    }
  }
}
