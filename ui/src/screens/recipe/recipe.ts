import type { Server } from "../../api/client";
import type { components } from "../../api/schema";
import type { KeyValue } from "../../design/KeyValues.svelte";

type Schemas = components["schemas"];
export type Change = Partial<Schemas["ServerChange"]>;
/** All that a person decides of a server, as the panel takes it. */
export type Recipe = Omit<Schemas["NewServer"], "name" | "node_id" | "owner_id" | "force">;

type Amount = number | null;

export interface PortRow {
  /** What it is for; kept as it came. */
  name?: string | null;
  internal: Amount;
  external: Amount;
  protocol: "tcp" | "udp";
  address: string;
  /** The page chose the outer one, and may choose another; what a person typed stays. */
  isProposed: boolean;
}

/** A recipe as it stands in a form: texts and numbers, of which any may be missing for now. */
export interface Form {
  name: string;
  /** Parted by commas. */
  tags: string;
  image: string;
  startup: string;
  environment: KeyValue[];
  limits: Record<"memory" | "swap" | "disk" | "cpu" | "io", Amount>;
  ports: PortRow[];
  stop: { by: "signal" | "command"; signal: string; command: string; timeout: Amount };
  readiness: {
    text: string;
    strip_ansi: boolean;
    timeout: Amount;
    lost: Amount;
    probe: "none" | "tcp" | "query";
    port: Amount;
    protocol: string;
  };
  crash: {
    restart: boolean;
    backoff: string;
    limit: Amount;
    window: Amount;
    clean: "stop" | "restart";
    then: "stop" | "retry";
  };
  query: { protocol: string; port: Amount };
  console: { tty: boolean; keep_bytes: Amount; keep_days: Amount };
  /** Shown nowhere: a template's, which a server that is made after another has, too. */
  configuration: Server["configuration"];
  launch: Server["launch"];
}

export const EVERYWHERE = "0.0.0.0";

/** A server of which nothing was said yet: the panel's own defaults. */
export function empty(): Form {
  return {
    name: "",
    tags: "",
    image: "",
    startup: "",
    environment: [],
    limits: { memory: null, swap: null, disk: null, cpu: null, io: null },
    ports: [],
    stop: { by: "signal", signal: "SIGTERM", command: "", timeout: 30 },
    readiness: { text: "", strip_ansi: false, timeout: 300, lost: null, probe: "none", port: null, protocol: "" },
    crash: { restart: true, backoff: "2, 10, 30, 60", limit: 5, window: 600, clean: "stop", then: "stop" },
    query: { protocol: "", port: null },
    console: { tty: false, keep_bytes: 20 * 2 ** 20, keep_days: 30 },
    configuration: [],
    launch: "command",
  };
}

/** 0 stands for no limit, and is shown as nothing. */
const limit = (value: Amount | undefined): Amount => value || null;

export function formOf(server: Server): Form {
  const { stop, readiness, crash, limits, query } = server;
  return {
    name: server.name,
    tags: server.tags.join(", "),
    image: server.image,
    startup: server.startup,
    environment: Object.entries(server.environment).map(([name, value]) => ({ name, value })),
    limits: {
      memory: limit(limits.memory),
      swap: limit(limits.swap),
      disk: limit(limits.disk),
      cpu: limit(limits.cpu),
      io: limit(limits.io),
    },
    ports: server.ports.map((port) => ({ ...port, isProposed: false })),
    stop: {
      by: stop.command == null ? "signal" : "command",
      signal: stop.signal,
      command: stop.command ?? "",
      timeout: stop.timeout,
    },
    readiness: {
      text: readiness.text.join("\n"),
      strip_ansi: readiness.strip_ansi,
      timeout: readiness.timeout,
      lost: limit(readiness.lost),
      probe: readiness.probe?.kind ?? "none",
      port: readiness.probe?.port ?? null,
      protocol: readiness.probe?.protocol ?? "",
    },
    crash: { ...crash, backoff: crash.backoff.join(", ") },
    query: { protocol: query?.protocol ?? "", port: query?.port ?? null },
    console: { ...server.console },
    configuration: server.configuration,
    launch: server.launch,
  };
}

/** As it is sent. What is missing is sent as missing: the panel says what is wrong with that, at its place. */
export function asked(form: Form): Recipe {
  const { limits, stop, readiness, query } = form;
  const body = {
    tags: form.tags
      .split(",")
      .map((tag) => tag.trim())
      .filter(Boolean),
    image: form.image,
    startup: form.startup,
    environment: Object.fromEntries(
      form.environment.filter((row) => row.name || row.value).map((row) => [row.name, row.value]),
    ),
    limits: {
      memory: limits.memory ?? 0,
      swap: limits.swap ?? 0,
      disk: limits.disk ?? 0,
      cpu: limits.cpu ?? 0,
      io: limits.io,
    },
    ports: form.ports.map(({ isProposed: _, ...port }) => port),
    stop: { signal: stop.signal, command: stop.by === "command" ? stop.command : null, timeout: stop.timeout },
    readiness: {
      text: readiness.text.split("\n").filter((line) => line.trim()),
      strip_ansi: readiness.strip_ansi,
      timeout: readiness.timeout,
      lost: readiness.lost ?? 0,
      probe: probeOf(readiness),
    },
    crash: {
      ...form.crash,
      backoff: form.crash.backoff
        .split(/[\s,;]+/)
        .filter(Boolean)
        .map(Number),
    },
    query: query.protocol.trim() ? { protocol: query.protocol.trim(), port: query.port } : null,
    console: form.console,
    configuration: form.configuration,
    launch: form.launch,
  };
  return body as Recipe;
}

function probeOf({ probe, port, protocol }: Form["readiness"]): object | null {
  if (probe === "none") return null;
  return probe === "tcp" ? { kind: "tcp", port } : { kind: "query", port, protocol: protocol.trim() || null };
}
