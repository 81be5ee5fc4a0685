import { api, the } from "../../api/client";
import { Editing } from "../recipe/editing.svelte";
import { asked, empty, formOf, type Form } from "../recipe/recipe";
import { session } from "../../state/session.svelte";
import { keep, recall } from "../../state/kept";
import { Once } from "./once";

const KEY = "new server";

interface Kept {
  form: Form;
  nodeId: string;
}

/** A server that is to be. */
export class Creating extends Editing {
  nodeId = $state("");
  ownerId = $state("");
  /** Also where its node has too little left. */
  isForced = $state(false);
  readonly #once = new Once();

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

  #ask(): Promise<string> {
    const { form, nodeId, ownerId, isForced } = this;
    const body = { name: form.name, node_id: nodeId, owner_id: ownerId || null, force: isForced, ...asked(form) };
    return this.#once.ask((key) => {
      const header = { "Idempotency-Key": key };
      return the(api.POST("/api/servers", { params: { header }, body }));
    });
  }
}
