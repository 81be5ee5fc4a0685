import { api, the, type Operation, type Server } from "../../api/client";
import { keep, recall } from "../../state/kept";
import { Asked } from "./draft.svelte";
import { undecided, type Decided, type FieldProblem, type ServerStartup } from "./types";

type Preview = ServerStartup & { problems: FieldProblem[] };

interface Kept {
  decided: Decided;
  before: Record<string, string>;
}

/** A change of a server's startup that is being decided. What is not touched follows the server. */
export class Changing {
  decided = $state<Decided>(undecided());
  saved = $state.raw<Operation | null>(null);
  readonly preview: Asked<Preview>;
  #newest = $state.raw<ServerStartup>() as ServerStartup;
  /** What each thing was when somebody began to change it. */
  #before = $state<Record<string, string>>({});

  constructor(
    readonly server: Server,
    startup: ServerStartup,
  ) {
    const kept = recall<Kept>(this.#key);
    this.decided = kept?.decided ?? undecided();
    this.#before = kept?.before ?? {};
    this.#newest = startup;
    this.preview = new Asked(() => this.#ask());
  }

  get #key(): string {
    return `startup of ${this.server.id}`;
  }

  get #path() {
    return { server_id: this.server.id };
  }

  /** As it would be, or as it is. */
  get shown(): ServerStartup {
    return this.preview.answer ?? this.#newest;
  }

  /** What is another than it is, by its name. */
  get changes(): Record<string, string> {
    const is = valuesOf(this.#newest);
    const wanted = { ...this.decided.variables, ...chosen(this.decided) };
    return Object.fromEntries(Object.entries(wanted).filter(([name, value]) => is[name] !== value));
  }

  get isChanged(): boolean {
    return Object.keys(this.changes).length > 0;
  }

  /** What somebody else changed meanwhile as well. */
  get clashing(): string[] {
    const is = valuesOf(this.#newest);
    return Object.keys(this.changes).filter((name) => name in this.#before && this.#before[name] !== is[name]);
  }

  follow(startup: ServerStartup): void {
    this.#newest = startup;
  }

  /** Outlives a reload, and a look at another tab. */
  keep(): void {
    const is = valuesOf(this.#newest);
    for (const name of Object.keys(this.changes)) this.#before[name] ??= is[name] ?? "";
    keep(this.#key, this.isChanged ? { decided: this.decided, before: this.#before } : null);
  }

  discard(): void {
    this.decided = undecided();
    this.#before = {};
    this.saved = null;
  }

  /** Throws: `Failed`. */
  async save(): Promise<void> {
    const header = { "If-Match": `"${this.#newest.revision}"` };
    const body = this.#body;
    const route = "/api/servers/{server_id}/startup";
    this.saved = await the(api.PATCH(route, { params: { path: this.#path, header }, body }));
    this.#before = {};
  }

  /** What is as it is already is not sent. */
  get #body(): Decided {
    const { changes } = this;
    const { image, startup, variables } = this.decided;
    return {
      image: "image" in changes ? image : null,
      startup: "startup" in changes ? startup : null,
      variables: Object.fromEntries(Object.entries(variables).filter(([name]) => name in changes)),
    };
  }

  #ask(): Promise<Preview> {
    const body = this.#body;
    return the(api.POST("/api/servers/{server_id}/startup/preview", { params: { path: this.#path }, body }));
  }
}

/** In small letters a name is of none of the variables that templates have. */
function chosen({ image, startup }: Decided): Record<string, string> {
  return { ...(image !== null && { image }), ...(startup !== null && { startup }) };
}

function valuesOf(startup: ServerStartup): Record<string, string> {
  return {
    ...Object.fromEntries(startup.variables.map((each) => [each.environment_name, each.value])),
    image: startup.image.name ?? "",
    startup: startup.startup.name ?? "",
  };
}
