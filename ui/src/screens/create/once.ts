import { api, Failed, the, type Operation } from "../../api/client";
import { newKey } from "../../api/orders";

/** A creation that is not done twice, though its answer was lost. */
export class Once {
  #key = newKey();

  /** The new server's id. Throws: `Failed`. */
  async ask(make: (key: string) => Promise<Operation>): Promise<string> {
    try {
      return (await make(this.#key)).server_id;
    } catch (error) {
      const isAnswered = error instanceof Failed && error.problem !== null;
      if (isAnswered) this.#key = newKey();
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
