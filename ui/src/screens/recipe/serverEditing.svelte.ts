import { api, the, type Operation, type Server } from "../../api/client";
import type { components } from "../../api/schema";
import { keep, recall } from "../../state/kept";
import { Editing } from "./editing.svelte";
import { clashes, difference, isSame, merged } from "./changes";
import { formOf, type Form } from "./recipe";

interface Kept {
  base: Form;
  revision: number;
  form: Form;
}

/** A change of a server, beside the server as it becomes meanwhile: what one left alone follows it. */
export class ServerEditing extends Editing {
  readonly id: string;
  /** The operation of what was saved last. */
  saved = $state.raw<Operation | null>(null);
  /** What somebody else changed as well: nothing is sent until it is decided whose is to be. */
  clashing = $state.raw<string[]>([]);

  #base = $state.raw<Form>() as Form;
  #revision: number;
  #newest: Server;

  constructor(server: Server) {
    super();
    const kept = recall<Kept>(keyOf(server.id));
    this.id = server.id;
    this.#newest = server;
    this.#base = kept?.base ?? formOf(server);
    this.#revision = kept?.revision ?? server.revision;
    this.form = kept?.form ?? formOf(server);
  }

  get change() {
    return difference(this.#base, this.form);
  }

  get isChanged(): boolean {
    return Object.keys(this.change).length > 0;
  }

  /** Outlives a reload, and a look at another tab. */
  keep(): void {
    const kept: Kept = { base: this.#base, revision: this.#revision, form: this.form };
    keep(keyOf(this.id), this.isChanged ? kept : null);
  }

  follow(server: Server): void {
    this.#newest = server;
    const theirs = formOf(server);
    this.clashing = clashes(this.#base, this.form, theirs);
    if (isSame(this.#base, theirs)) this.#revision = server.revision;
    else if (this.clashing.length === 0) this.#rest(merged(this.#base, this.form, theirs));
  }

  keepMine(): void {
    this.#rest(merged(this.#base, this.form, formOf(this.#newest)));
  }

  takeTheirs(): void {
    const theirs = formOf(this.#newest);
    const taken = Object.fromEntries(this.clashing.map((part) => [part, theirs[part as keyof Form]]));
    this.#rest(merged(this.#base, { ...this.form, ...taken }, theirs));
  }

  discard(): void {
    this.#rest(formOf(this.#newest));
    this.problems = {};
    this.error = null;
    this.saved = null;
  }

  async save(element: HTMLFormElement): Promise<boolean> {
    const sent = $state.snapshot(this.form) as Form;
    const body = this.change as components["schemas"]["ServerChange"]; // what is left out stays as it is
    const header = { "If-Match": `"${this.#revision}"` };
    const path = { server_id: this.id };
    this.saved = null;
    const operation = await this.send(element, () =>
      the(api.PATCH("/api/servers/{server_id}", { params: { path, header }, body })),
    );
    if (operation === null) return false;
    this.saved = operation;
    this.#base = sent;
    this.#revision = Number(operation.arguments["revision"] ?? this.#revision);
    return true;
  }

  /** All that is shown stands on the server as it is now. */
  #rest(form: Form): void {
    this.form = form;
    this.#base = formOf(this.#newest);
    this.#revision = this.#newest.revision;
    this.clashing = [];
  }
}

function keyOf(id: string): string {
  return `change of ${id}`;
}
