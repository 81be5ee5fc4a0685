import { api, Failed, the } from "../../api/client";
import { Editing } from "../recipe/editing.svelte";
import { asked, empty, formOf, type Form } from "../recipe/recipe";
import { session } from "../../state/session.svelte";
import { keep, recall } from "../../state/kept";

const KEY = "new server";

interface Kept {
  form: Form;
  nodeId: string;
}

/** A server that is to be. */
export class Creating extends Editing {
  nodeId = $state("");
  ownerId = $state("");
  /** So that a request whose answer was lost is not done twice. */
  #key = randomKey();

  constructor() {
    super();
    const kept = recall<Kept>(KEY);
    this.form = kept?.form ?? empty();
    this.nodeId = kept?.nodeId ?? "";
    this.ownerId = session.user?.id ?? "";
  }

  keep(): void {
    keep(KEY, { form: this.form, nodeId: this.nodeId } satisfies Kept);
  }

  clear(): void {
    this.form = empty();
    this.problems = {};
    this.error = null;
  }

  /** Takes over what another server is made of, but its name and the ports that it holds. */
  startFrom(serverId: string): void {
    const server = session.lists?.servers.rows.get(serverId);
    if (!server) return;
    const ports = formOf(server).ports.map((port) => ({ ...port, external: null, isProposed: true }));
    this.form = { ...formOf(server), ports, name: this.form.name };
    this.nodeId ||= server.node_id;
  }

  /** The new server's id; null where there is none. */
  async create(element: HTMLFormElement): Promise<string | null> {
    const id = await this.send(element, () => this.#ask());
    if (id !== null) keep(KEY, null);
    return id;
  }

  async #ask(): Promise<string> {
    const { form, nodeId, ownerId } = this;
    const body = { name: form.name, node_id: nodeId, owner_id: ownerId || null, ...asked(form) };
    try {
      const header = { "Idempotency-Key": this.#key };
      return (await the(api.POST("/api/servers", { params: { header }, body }))).server_id;
    } catch (error) {
      const isAnswered = error instanceof Failed && error.problem !== null;
      if (isAnswered) this.#key = randomKey();
      const made = isAnswered ? await madeAllTheSame(error.problem?.operation_id) : null;
      if (made === null) throw error;
      return made;
    }
  }
}

/** A node that refused may have been asked already: then the server is there, and its page tells why it is not installed. */
async function madeAllTheSame(operationId: string | undefined): Promise<string | null> {
  if (operationId === undefined) return null;
  try {
    const path = { operation_id: operationId };
    const { server_id } = await the(api.GET("/api/operations/{operation_id}", { params: { path } }));
    return (await the(api.GET("/api/servers/{server_id}", { params: { path: { server_id } } }))).id;
  } catch {
    return null;
  }
}

function randomKey(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}
