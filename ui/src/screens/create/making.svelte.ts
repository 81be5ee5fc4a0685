import { api, the } from "../../api/client";
import type { components } from "../../api/schema";
import { keep, recall } from "../../state/kept";
import { session } from "../../state/session.svelte";
import { Editing } from "../recipe/editing.svelte";
import { asked, empty, type Form } from "../recipe/recipe";
import { Asked } from "../startup/draft.svelte";
import { undecided, type Decided, type Preview, type TemplateCard } from "../startup/types";
import { Once } from "./once";

const KEY = "new server of a template";
export const STEPS = ["place", "variables", "review"] as const;
export type Step = (typeof STEPS)[number];

/** A port by what it is for; null: the one that is proposed. */
export interface PortChoice {
  name: string;
  external: number | null;
  protocol: "tcp" | "udp" | "both" | null;
}

interface Kept {
  template: TemplateCard;
  step: Step;
  form: Form;
  nodeId: string;
  decided: Decided;
  ports: PortChoice[];
}

function wordsOf(text: string): string[] {
  return text
    .split(",")
    .map((word) => word.trim())
    .filter(Boolean);
}

/** A server of a template that is to be: what was decided so far, and what the panel would make of that. */
export class Making extends Editing {
  readonly template: TemplateCard;
  step = $state<Step>("place");
  /** Steps that somebody wanted to leave: what lacks there is said. */
  tried = $state<readonly Step[]>([]);
  nodeId = $state("");
  ownerId = $state("");
  /** Parted by commas: what the node has to have that the panel chooses. */
  nodeTags = $state("");
  /** Also where the chosen node has too little left to promise. */
  isForced = $state(false);
  decided = $state<Decided>(undecided());
  ports = $state<PortChoice[]>([]);
  readonly preview: Asked<Preview>;
  readonly #once = new Once();

  constructor(template: TemplateCard, kept?: Kept) {
    super();
    this.template = template;
    this.form = kept?.form ?? { ...empty(), limits: { ...empty().limits, memory: 2 ** 30 } };
    this.step = kept?.step ?? "place";
    this.nodeId = kept?.nodeId ?? "";
    this.decided = kept?.decided ?? undecided();
    this.ports = kept?.ports ?? [];
    this.ownerId = session.user?.id ?? "";
    this.preview = new Asked(() => this.#ask());
  }

  /** What was begun before, in another look at the page. */
  static kept(): Making | null {
    const kept = recall<Kept>(KEY);
    return kept ? new Making(kept.template, kept) : null;
  }

  keep(): void {
    const { template, step, form, nodeId, decided, ports } = this;
    keep(KEY, { template, step, form, nodeId, decided, ports } satisfies Kept);
  }

  static forget(): void {
    keep(KEY, null);
  }

  /** Where the panel finds something wrong with it: at which step that is decided. */
  stepOf(field: string): Step {
    const part = field.split(".")[0]!;
    return ["variables", "image", "startup"].includes(part) ? "variables" : "place";
  }

  /** What is wrong with a field, once it is time to say so. */
  get said(): Record<string, string> {
    const shown = Object.entries(this.preview.problems).filter(
      ([field]) => this.tried.includes(this.stepOf(field)) || this.#isTouched(field),
    );
    return Object.fromEntries(shown);
  }

  override at(name: string): { name: string; problem: string | undefined } {
    return { name, problem: this.said[name] };
  }

  #isTouched(field: string): boolean {
    const [part, name] = [field.split(".")[0], field.slice(field.indexOf(".") + 1)];
    if (part === "variables") return name in this.decided.variables;
    if (part === "ports") return this.ports.some((port) => port.name === name && port.external !== null);
    return part !== "name" || this.form.name !== "";
  }

  /** To another step; forward only when nothing is wrong at those before it. Gives whether it went. */
  async go(to: Step): Promise<boolean> {
    const before = STEPS.slice(0, STEPS.indexOf(to));
    if (STEPS.indexOf(to) > STEPS.indexOf(this.step)) {
      const preview = await this.preview.now();
      this.tried = [...new Set([...this.tried, ...before])];
      const wrong = preview?.problems.find(({ field }) => before.includes(this.stepOf(field)));
      if (preview === null || wrong) {
        if (wrong) this.step = this.stepOf(wrong.field);
        return false;
      }
    }
    this.step = to;
    return true;
  }

  /** The new server's id. Throws: `Failed`. */
  async create(): Promise<string> {
    this.tried = STEPS;
    const path = { template_id: this.template.id };
    const body = { ...this.body, name: this.form.name };
    const id = await this.#once.ask(async (key) => {
      const header = { "Idempotency-Key": key };
      return the(api.POST("/api/templates/{template_id}/servers", { params: { path, header }, body }));
    });
    Making.forget();
    return id;
  }

  get body(): Omit<components["schemas"]["ServerDraft"], "name"> {
    const { tags, limits } = asked(this.form);
    const ports = this.ports.filter((port) => port.name.trim());
    return {
      ...this.decided,
      tags: tags ?? [],
      limits,
      ports,
      node_id: this.nodeId || null,
      node_tags: this.nodeId ? [] : wordsOf(this.nodeTags),
      force: this.nodeId !== "" && this.isForced,
      owner_id: this.ownerId || null,
    };
  }

  #ask(): Promise<Preview> {
    const path = { template_id: this.template.id };
    const body = { ...this.body, name: this.form.name.trim() || null };
    return the(api.POST("/api/templates/{template_id}/servers/preview", { params: { path }, body }));
  }
}
