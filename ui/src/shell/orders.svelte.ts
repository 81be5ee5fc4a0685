import type { Server } from "../api/client";
import { order, type Order } from "../api/orders";

/** Orders that are given from anywhere, by keys and from the palette. */
class Orders {
  /** Waits for a yes: what cannot be undone. */
  asked = $state.raw<Server | null>(null);
  error = $state.raw<unknown>(null);

  async give(kind: Order, server: Server): Promise<void> {
    this.error = null;
    if (kind === "kill") {
      this.asked = server;
      return;
    }
    try {
      await order(kind, server.id);
    } catch (found) {
      this.error = found;
    }
  }
}

export const orders = new Orders();
