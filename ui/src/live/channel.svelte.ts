/** One connection to the panel's live channel, which heals by itself: each topic goes on where it was cut. */

import { untrack } from "svelte";

export interface Frame {
  kind: string;
  topic?: string;
  id?: number;
  data?: unknown;
  first?: boolean;
  more?: boolean;
  code?: string;
  message?: string;
  permissions?: string[];
}

type Listener = (frame: Frame) => void;

interface Told {
  /** The session has ended; nothing is tried any more. */
  onSignedOut: () => void;
  /** What one may do by now. */
  onRights: (permissions: string[]) => void;
}

interface Subscription {
  listener: Listener;
  after: number | undefined;
}

const LONGEST_PAUSE_S = 15;
const SILENCE_S = 40;
/** The panel says something every 15 s. */
const SIGNED_OUT = 1008;

export class Channel {
  state = $state<"connecting" | "open" | "away">("connecting");
  retryIn = $state(0);

  #socket: WebSocket | null = null;
  #subscriptions = new Map<string, Subscription>();
  #attempts = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly told: Told) {
    addEventListener("online", () => this.#retryNow());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#retryNow());
    this.#connect();
  }

  /**
   * Tells what comes of a topic, from after a place where one is given; gives what ends it. An effect that subscribes does not depend on the
   * connection, which heals by itself.
   */
  subscribe(topic: string, listener: Listener, after?: number): () => void {
    this.#subscriptions.set(topic, { listener, after });
    untrack(() => this.#ask(topic));
    return () => {
      if (this.#subscriptions.get(topic)?.listener !== listener) return;
      this.#subscriptions.delete(topic);
      this.#say({ unsubscribe: topic });
    };
  }

  close(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#subscriptions.clear();
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #connect(): void {
    const socket = new WebSocket(`${location.origin.replace("http", "ws")}/api/live`);
    this.#socket = socket;
    socket.onmessage = (message) => this.#hear(JSON.parse(String(message.data)) as Frame);
    socket.onclose = (close) => socket === this.#socket && this.#lost(close.code);
  }

  #hear(frame: Frame): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#socket?.close(), SILENCE_S * 1000);
    if (frame.permissions) this.told.onRights(frame.permissions);
    if (frame.kind === "hello") {
      this.state = "open";
      this.#attempts = 0;
      for (const topic of this.#subscriptions.keys()) this.#ask(topic);
      return;
    }
    const subscription = frame.topic === undefined ? undefined : this.#subscriptions.get(frame.topic);
    if (subscription === undefined) return;
    if (frame.id !== undefined) subscription.after = frame.id;
    subscription.listener(frame);
  }

  #lost(code: number): void {
    clearTimeout(this.#silence);
    if (code === SIGNED_OUT) {
      this.close();
      this.told.onSignedOut();
      return;
    }
    const ceiling = Math.min(LONGEST_PAUSE_S, 2 ** this.#attempts++);
    this.state = "away";
    this.#wait(Math.random() * ceiling);
  }

  #wait(pauseS: number): void {
    this.retryIn = Math.ceil(pauseS);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (pauseS > 1 ? this.#wait(pauseS - 1) : this.#connect()), Math.min(pauseS, 1) * 1000);
  }

  #retryNow(): void {
    if (this.state === "away") this.#wait(0);
  }

  #ask(topic: string): void {
    const after = this.#subscriptions.get(topic)?.after;
    this.#say(after === undefined ? { subscribe: topic } : { subscribe: topic, after });
  }

  #say(wish: object): void {
    if (this.state === "open" && this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(wish));
  }
}
