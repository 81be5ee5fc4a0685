/** Durable events of a server, as people read them. */

import type { components } from "../../api/schema";
import type { Texts } from "../../text/en";

export type Told = components["schemas"]["EventView"];

/** What a node tells of a crash, as `GET …/events` has it. */
export interface Crash {
  cause: components["schemas"]["CrashCause"];
  summary: string;
  exit_code?: number;
  signal?: string;
  uptime?: number;
  last_lines: string[];
  changes: string[];
  crashes: number;
  restart_at?: string;
  crashed_at?: string;
}

export interface Happening {
  id: number;
  /** Milliseconds since 1970. */
  at: number;
  sign: string;
  /** A token. */
  colour: string;
  title: string;
  detail: string;
  crash: Crash | null;
}

export const CRASHED = "server_crashed";
export const STATUS = "server_status_changed";
export const PLAYERS = "players_changed";

const LOOKS: Record<string, readonly [sign: string, colour: string]> = {
  running: ["▲", "--good"],
  stopped: ["■", "--calm"],
  created: ["◆", "--calm"],
  deleted: ["■", "--calm"],
  start_failed: ["✕", "--bad"],
  stop_failed: ["✕", "--bad"],
  create_failed: ["✕", "--bad"],
  delete_failed: ["✕", "--bad"],
};

/** Null for what is passed through, and for what another event says better. */
export function happening(told: Told, t: Texts): Happening | null {
  const base = { id: told.id, at: Date.parse(told.happened_at), detail: "", crash: null };
  const words = t.activity.happenings;
  if (told.kind === CRASHED) {
    const crash = told.data as unknown as Crash;
    const at = Date.parse(crash.crashed_at ?? told.happened_at);
    return { ...base, at, sign: "✕", colour: "--bad", title: words.crashed, detail: crash.summary, crash };
  }
  if (told.kind === PLAYERS) {
    const { joined = [], left = [] } = told.data as { joined?: string[]; left?: string[] };
    const title = [joined.length && words.joined(joined.join(", ")), left.length && words.left(left.join(", "))];
    return { ...base, sign: "●", colour: "--unsure", title: title.filter(Boolean).join(" ") };
  }
  if (told.kind !== STATUS) return null;
  const { current_status, previous_status, status, error } = told.data as Record<string, string | undefined>;
  const word = current_status ?? status ?? "";
  const look = LOOKS[word];
  if (look === undefined || word === previous_status) return null;
  const title = words.became[word as keyof typeof words.became];
  return { ...base, sign: look[0], colour: look[1], title, detail: error ?? "" };
}
