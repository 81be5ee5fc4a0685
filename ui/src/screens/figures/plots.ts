/** From what was measured to what is drawn. */

import type { components } from "../../api/schema";
import type { Line, Plot } from "../../design/plot";
import { bytes, percent } from "../../text/figures";
import type { Texts } from "../../text/en";

type Schemas = components["schemas"];
export type Sample = Schemas["ServerSample"] | Schemas["NodeSample"];
export type Columns = Schemas["Columns"];
type Values = (number | null)[];

/** Whose figures they are. */
export interface Subject {
  kind: "server" | "node";
  id: string;
}

/** What cannot be passed; null where there is no such limit, or it is not known. */
export interface Limits {
  cpu: number | null;
  memory: number | null;
  disk: number | null;
  players: number | null;
}

export interface Measured {
  /** Seconds since 1970. */
  times: number[];
  columns: Partial<Columns>;
}

export const RECENT_S = 60;
const GAP_S = 20;
/** Nodes measure every 15 s at least: where more than this lies between two samples, one is missing. */

/** Samples as columns, with a gap where some are missing. */
export function inColumns(samples: readonly Sample[]): Measured {
  const times: number[] = [];
  const rows: (Sample | null)[] = [];
  for (const sample of samples) {
    const at = Date.parse(sample.measured_at) / 1000;
    const before = times.at(-1);
    if (before !== undefined && at - before > GAP_S) {
      times.push((at + before) / 2);
      rows.push(null);
    }
    times.push(at);
    rows.push(sample);
  }
  const column = (name: keyof Schemas["ServerSample"] & keyof Columns): Values =>
    rows.map((row) => (row as Schemas["ServerSample"] | null)?.[name] ?? null);
  return {
    times,
    columns: {
      cpu_percent: column("cpu_percent"),
      memory_used_bytes: column("memory_used_bytes"),
      network_received_bytes_per_s: column("network_received_bytes_per_s"),
      network_sent_bytes_per_s: column("network_sent_bytes_per_s"),
      block_read_bytes_per_s: column("block_read_bytes_per_s"),
      block_written_bytes_per_s: column("block_written_bytes_per_s"),
      players: column("players"),
    },
  };
}

/** What the newest sample says of limits; of the CPU of a server it says nothing. */
export function limitsOf(newest: Sample | null, cpu: number | null = null): Limits {
  if (newest === null) return { cpu: cpu || null, memory: null, disk: null, players: null };
  if ("disks" in newest) {
    const disk = newest.disks?.reduce((sum, each) => sum + each.total_bytes, 0);
    const cores = newest.cpu_cores == null ? null : newest.cpu_cores * 100;
    return { cpu: cores, memory: newest.memory_total_bytes ?? null, disk: disk || null, players: null };
  }
  const of = newest as Schemas["ServerSample"];
  return {
    cpu: cpu || null,
    memory: of.memory_limit_bytes || null,
    disk: of.disk_limit_bytes || null,
    players: of.players_max || null,
  };
}

/** One for each thing that was measured at all; of CPU and memory always. */
export function plotsOf(columns: Partial<Columns>, limits: Limits, t: Texts, language: string): Plot[] {
  const asPercent = (value: number): string => percent(value, language);
  const asBytes = (value: number): string => bytes(value, language);
  const asRate = (value: number): string => `${bytes(value, language)}/s`;
  const asNumber = (value: number): string => value.toLocaleString(language, { maximumFractionDigits: 1 });
  const limit = (value: number | null, name: (of: string) => string, show: (value: number) => string): Plot["limit"] =>
    value === null ? null : { value, label: name(show(value)) };
  const line = (label: string, values: Values | undefined, more: Partial<Line> = {}): Line => ({
    label,
    values: values ?? [],
    colour: "--accent",
    ...more,
  });
  const words = t.figures;
  const found: Plot[] = [
    {
      key: "cpu",
      label: words.cpu,
      lines: [line(words.cpu, columns.cpu_percent, mostOf(columns.cpu_percent_max))],
      show: asPercent,
      base: 10,
      least: 4,
      limit: limit(limits.cpu, words.limitOf, asPercent),
    },
    {
      key: "memory",
      label: words.memory,
      lines: [
        line(words.memory, columns.memory_used_bytes, {
          colour: "--good",
          ...mostOf(columns.memory_used_bytes_max),
        }),
      ],
      show: asBytes,
      base: 1024,
      least: 1024,
      limit: limit(limits.memory, words.limitOf, asBytes),
    },
    {
      key: "players",
      label: words.players,
      lines: [line(words.players, columns.players, { colour: "--unsure" })],
      show: asNumber,
      base: 10,
      least: 4,
      limit: limit(limits.players, words.slots, asNumber),
    },
    {
      key: "network",
      label: words.network,
      lines: [
        line(words.received, columns.network_received_bytes_per_s),
        line(words.sent, columns.network_sent_bytes_per_s, { colour: "--busy", isDashed: true }),
      ],
      show: asRate,
      base: 1024,
      least: 1024,
      limit: null,
    },
    {
      key: "blocks",
      label: words.blocks,
      lines: [
        line(words.read, columns.block_read_bytes_per_s),
        line(words.written, columns.block_written_bytes_per_s, { colour: "--busy", isDashed: true }),
      ],
      show: asRate,
      base: 1024,
      least: 1024,
      limit: null,
    },
    {
      key: "disk",
      label: words.disk,
      lines: [line(words.disk, columns.disk_used_bytes, { colour: "--calm" })],
      show: asBytes,
      base: 1024,
      least: 1024,
      limit: limit(limits.disk, words.limitOf, asBytes),
    },
  ];
  const always = ["cpu", "memory"];
  return found.filter(({ key, lines }) => always.includes(key) || lines.some(({ values }) => values.some(isKnown)));
}

const isKnown = (value: number | null): boolean => value !== null;
const mostOf = (values: Values | undefined): Partial<Line> => (values ? { most: values } : {});
