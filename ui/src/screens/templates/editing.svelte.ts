import {
  api,
  Failed,
  the,
  type Content,
  type TemplateDetail,
  type TemplateDraft,
  type TemplatePreview,
} from "../../api/client";
import type { components } from "../../api/schema";
import { Sending } from "../../design/sending.svelte";
import { keep, recall } from "../../state/kept";
import { contentOf, formOf, type Form } from "./form";

type Kept = components["schemas"]["KeptTemplate"];

interface Unsent {
  form: Form;
  version: number;
}

/** A template in someone's hands: in a form, or as a document. */
export class TemplateEditing extends Sending {
  readonly id: string;
  form = $state<Form>() as Form;
  /** None before somebody looks at it. */
  document = $state<string | null>(null);
  mode = $state<"form" | "document">("form");
  /** From which version it was made. */
  version = $state(0);
  preview = $state.raw<TemplatePreview | null>(null);
  /** Somebody saved another one meanwhile. */
  isStale = $state(false);

  readonly #content: Content;
  readonly #before: string;
  #writtenDocument = $state<string | null>(null);

  constructor(template: TemplateDetail) {
    super();
    const unsent = recall<Unsent>(keyOf(template.id));
    this.id = template.id;
    this.#content = template.content;
    this.#before = JSON.stringify(formOf(template.content));
    this.form = unsent?.form ?? formOf(template.content);
    this.version = unsent?.version ?? template.version;
  }

  get isFormChanged(): boolean {
    return JSON.stringify(this.form) !== this.#before;
  }

  get isDocumentChanged(): boolean {
    return this.document !== this.#writtenDocument;
  }

  get isChanged(): boolean {
    return this.mode === "form" ? this.isFormChanged : this.isDocumentChanged;
  }

  turn(mode: "form" | "document"): void {
    this.mode = mode;
    this.preview = null;
    this.error = null;
  }

  keep(): void {
    const unsent: Unsent = { form: this.form, version: this.version };
    keep(keyOf(this.id), this.isFormChanged ? unsent : null);
  }

  discard(): void {
    this.form = JSON.parse(this.#before) as Form;
    this.document = this.#writtenDocument;
    this.preview = null;
    this.error = null;
    this.problems = {};
  }

  /** As the panel writes it. */
  async write(): Promise<void> {
    if (this.document !== null) return;
    const params = { path: { template_id: this.id }, query: { syntax: "yaml" } } as const;
    const { document } = await the(api.GET("/api/templates/{template_id}/document", { params }));
    this.document = this.#writtenDocument = document;
  }

  /** What would be different. */
  async check(element: HTMLFormElement): Promise<void> {
    const body = { ...this.#draft(), template_id: this.id, is_new: false };
    this.preview = await this.send(element, () => the(api.POST("/api/templates/preview", { body })));
  }

  /** Null: it was refused. What somebody saved meanwhile is not overwritten unseen. */
  async save(element: HTMLFormElement): Promise<Kept | null> {
    const params = { path: { template_id: this.id }, header: { "If-Match": `"${this.version}"` } };
    const body = this.#draft();
    const kept = await this.send(element, () => the(api.PUT("/api/templates/{template_id}", { params, body })));
    if (kept !== null) keep(keyOf(this.id), null);
    if (kept === null && this.error instanceof Failed && this.error.problem?.status === 412) await this.#meet(element);
    return kept;
  }

  async #meet(element: HTMLFormElement): Promise<void> {
    await this.check(element);
    this.isStale = true;
    this.version = this.preview?.like?.version ?? this.version;
  }

  #draft(): TemplateDraft {
    if (this.mode === "document") return { document: this.document || " " };
    return { content: contentOf($state.snapshot(this.form) as Form, this.#content) };
  }
}

function keyOf(id: string): string {
  return `change of template ${id}`;
}
