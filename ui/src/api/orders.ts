import { api, the, type Operation, type Server, type Status } from "./client";
import { session, type Permission } from "../state/session.svelte";

export const ORDERS = ["start", "stop", "restart", "kill"] as const;
export type Order = (typeof ORDERS)[number];

/** Asks that a server be started, stopped and so on; what its node does is told on the live channel. With the same key again nothing is
 *  done a second time. Throws: `Failed`. */
export function order(kind: Order, serverId: string, key = newKey()): Promise<Operation> {
  const params = { path: { server_id: serverId }, header: { "Idempotency-Key": key } };
  return the(api.POST(`/api/servers/{server_id}/${kind}`, { params }));
}

/** `crypto.randomUUID` is for https alone; panels at home have none. */
export function newKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Runs its installer once more, also of one that could not be installed, or is not on its node any more; with `wipe` all its files are
 *  removed first. Throws: `Failed`. */
export function reinstall(serverId: string, wipe = false): Promise<Operation> {
  const params = { path: { server_id: serverId } };
  return the(api.POST("/api/servers/{server_id}/reinstall", { params, body: { wipe } }));
}

const FROM: Record<Order, readonly Status[]> = {
  start: ["OFFLINE", "CRASHED"],
  stop: ["RUNNING", "STARTING"],
  restart: ["RUNNING", "STARTING"],
  kill: ["RUNNING", "STARTING", "STOPPING"],
};

/** Whether it makes sense by what is known of the server; one that waits to be started again can be stopped from that. */
export function isSensible(kind: Order, server: Server): boolean {
  return FROM[kind].includes(server.status) || (kind === "stop" && server.restart_at !== null);
}

/** Stops work under way, so that the server is as it was before. Throws: `Failed`. */
export function cancel(operationId: string): Promise<Operation> {
  return the(api.POST("/api/operations/{operation_id}/cancel", { params: { path: { operation_id: operationId } } }));
}

const UNDOABLE: readonly Operation["kind"][] = ["start", "create", "reinstall"];

/** What its node can still undo; who may not order a thing may not cancel it either. */
export function canBeCancelled({ kind, state }: Operation): boolean {
  const mayBe = session.may("operations.cancel") && session.may(`servers.${kind}` as Permission);
  return mayBe && (state === "queued" || (state === "running" && UNDOABLE.includes(kind)));
}
