import { api, the, type TemplateDraft, type TemplatePreview } from "../../api/client";
import type { components } from "../../api/schema";
import { words } from "../../text/words.svelte";

type Kept = components["schemas"]["KeptTemplate"];
const LARGEST = 1024 * 1024;

/** Something that somebody wants to import: it is looked at, and imported when they say so. */
export class Item {
  preview = $state.raw<TemplatePreview | null>(null);
  kept = $state.raw<Kept | null>(null);
  /** A sentence of ours, or what the panel said. */
  error = $state.raw<unknown>(null);
  doing = $state<"looking" | "importing" | null>(null);
  isNew = $state(false);

  constructor(
    readonly label: string,
    readonly draft: TemplateDraft,
  ) {}

  get name(): string {
    return this.preview?.content?.name || this.label;
  }

  get isReady(): boolean {
    return this.kept === null && this.doing === null && ["new", "next"].includes(this.preview?.outcome ?? "");
  }

  look(): Promise<void> {
    return this.#try("looking", async () => {
      const body = { ...this.#draft(), is_new: this.isNew };
      const looked = await the(api.POST("/api/templates/preview", { body }));
      this.preview = { ...looked, document: looked.document ?? this.preview?.document ?? null };
    });
  }

  import(category: string): Promise<void> {
    return this.#try("importing", async () => {
      const compared_with = this.preview?.like?.version ?? 0;
      const body = { ...this.#draft(), is_new: this.isNew, compared_with, category: category.trim() || null };
      this.kept = await the(api.POST("/api/templates", { body }));
    });
  }

  /** Just what was looked at, though there be something else by now where it was fetched. */
  #draft(): TemplateDraft {
    const { document, source } = this.preview ?? {};
    return document ? { document, source: source ?? null } : this.draft;
  }

  async #try(doing: Item["doing"], work: () => Promise<void>): Promise<void> {
    this.doing = doing;
    this.error = null;
    try {
      await work();
    } catch (found) {
      this.error = found;
    } finally {
      this.doing = null;
    }
  }
}

/** All that was given, in that order. They are looked at and imported one after the other: two may be versions of one. */
export class Importing {
  items = $state<Item[]>([]);
  category = $state("");
  #turn: Promise<void> = Promise.resolve();

  get ready(): Item[] {
    return this.items.filter((item) => item.isReady);
  }

  get kept(): number {
    return this.items.filter((item) => item.kept !== null).length;
  }

  add(label: string, draft: TemplateDraft): Promise<void> {
    this.items.push(new Item(label, draft));
    const item = this.items.at(-1)!;
    return this.#queue(() => item.look());
  }

  async addFiles(files: Iterable<File>): Promise<void> {
    for (const file of files) {
      const document = file.size > LARGEST ? null : await textOf(file);
      if (document !== null) {
        void this.add(file.name, { document });
        continue;
      }
      const item = new Item(file.name, {});
      item.error = file.size > LARGEST ? words.t.templateImport.tooLarge : words.t.templateImport.unreadable;
      this.items.push(item);
    }
  }

  remove(item: Item): void {
    this.items = this.items.filter((each) => each !== item);
  }

  async importAll(): Promise<void> {
    for (const item of this.ready) await this.import(item);
  }

  /** What was like it before may be its own next version by now. */
  import(item: Item): Promise<void> {
    return this.#queue(async () => {
      await item.import(this.category);
      for (const each of this.items) if (each !== item && each.isReady && each.name === item.name) await each.look();
    });
  }

  #queue(work: () => Promise<void>): Promise<void> {
    return (this.#turn = this.#turn.then(work));
  }
}

async function textOf(file: File): Promise<string | null> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer()) || " ";
  } catch {
    return null;
  }
}
