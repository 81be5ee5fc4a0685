import { searchParams } from "sv-router";
import type { Server, Status } from "../../api/client";
import { isColumn, type Column } from "./arranging";

const FIELDS = ["q", "status", "node", "tag"] as const;
type Field = (typeof FIELDS)[number] | "sort";

/** Which servers are wanted, and in which order: all of it in the address's query, so that it can be shared and gone back from. */
class Filter {
  readonly #query = $derived(new URLSearchParams(searchParams.toString()));
  readonly text = $derived(this.#query.get("q") ?? "");
  readonly statuses = $derived(this.#several("status") as Status[]);
  readonly node = $derived(this.#query.get("node") ?? "");
  readonly tags = $derived(this.#several("tag"));
  readonly isDescending = $derived(this.#query.get("sort")?.startsWith("-") ?? false);
  readonly column = $derived.by<Column>(() => {
    const found = this.#query.get("sort")?.replace(/^-/, "") ?? "";
    return isColumn(found) ? found : "name";
  });
  readonly isAny = $derived(FIELDS.some((field) => this.#query.has(field)));

  /** Each letter is no place of its own to go back to. */
  find(text: string): void {
    this.#set({ q: text }, this.text !== "");
  }

  toggleStatus(status: Status): void {
    this.#set({ status: toggled(this.statuses, status) });
  }

  chooseNode(node: string): void {
    this.#set({ node });
  }

  toggleTag(tag: string): void {
    this.#set({ tag: toggled(this.tags, tag) });
  }

  /** By the same column again it is the other way round. */
  sort(column: Column): void {
    const isTurned = this.column === column && !this.isDescending;
    this.#set({ sort: isTurned ? `-${column}` : column === "name" ? "" : column }, true);
  }

  clear(): void {
    this.#set({ q: "", status: "", node: "", tag: "" });
  }

  /** All but the status. */
  matchesRest(server: Server): boolean {
    const text = this.text.trim().toLowerCase();
    return (
      (this.node === "" || server.node_id === this.node) &&
      this.tags.every((tag) => server.tags.includes(tag)) &&
      (text === "" || haystack(server).includes(text))
    );
  }

  matchesStatus(server: Server): boolean {
    return this.statuses.length === 0 || this.statuses.includes(server.status);
  }

  #several(field: Field): string[] {
    return (this.#query.get(field) ?? "").split(",").filter(Boolean);
  }

  #set(values: Partial<Record<Field, string>>, replace = false): void {
    if (!replace) history.pushState(history.state, "", location.href);
    for (const [field, value] of Object.entries(values)) {
      if (value) searchParams.set(field, value, { replace: true });
      else searchParams.delete(field, undefined, { replace: true });
    }
  }
}

function toggled<Value extends string>(values: readonly Value[], value: Value): string {
  return (values.includes(value) ? values.filter((each) => each !== value) : [...values, value]).join(",");
}

function haystack(server: Server): string {
  const ports = server.ports.map((port) => port.external);
  return [server.name, server.id, server.node_id, ...server.tags, ...ports].join(" ").toLowerCase();
}

export const filter = new Filter();
