import { api, the } from "../../api/client";
import type { components } from "../../api/schema";
import { CRASHED, STATUS, type Told } from "../activity/happenings";
import { limitsOf, type Columns, type Limits, type Sample, type Subject } from "./plots";
import { latest, type Range, type Span } from "./span";

type Schemas = components["schemas"];
type Graph = Schemas["Graph_ServerSample_"] | Schemas["Graph_NodeSample_"];

export const MOST_EVENTS = 200;
const MOST_POINTS = 1000;
const LEAST_PAUSE_S = 60;

/** What was measured, and what happened, in one stretch of time. */
export interface Past {
  span: Span;
  times: number[];
  stepS: number;
  columns: Columns;
  newest: Sample | null;
  events: Told[];
  areMore: boolean;
}

/** The history of a server or a node: the time that is looked at, and what there is of it. */
export class History {
  range = $state<Range>("hour");
  zoom = $state.raw<Span | null>(null);
  now = $state(Date.now() / 1000);
  past = $state.raw<Past | null>(null);
  isAsking = $state(false);
  error = $state.raw<unknown>(null);
  span = $derived(this.zoom ?? latest(this.range, this.now));

  choose(range: Range): void {
    this.range = range;
    this.zoom = null;
    this.now = Date.now() / 1000;
  }

  /** Something happened: it is in the time that goes up to now. */
  catchUp(): void {
    if (this.zoom === null) this.now = Date.now() / 1000;
  }

  /** Asks for what is looked at now; when it is cut short by `signal`, nothing changes. */
  async ask(subject: Subject, points: number, withEvents: boolean, signal: AbortSignal): Promise<void> {
    const span = this.span;
    this.isAsking = true;
    try {
      const [graph, events] = await Promise.all([
        graphOf(subject, span, Math.min(MOST_POINTS, points), signal),
        withEvents ? eventsOf(subject.id, span, signal) : { items: [], next_cursor: null },
      ]);
      if (signal.aborted) return;
      this.past = pastOf(span, graph, events.items, events.next_cursor !== null);
      this.error = null;
    } catch (found) {
      if (!signal.aborted) this.error = found;
    } finally {
      if (!signal.aborted) this.isAsking = false;
    }
  }

  /** Goes on with the time: as often as there can be something new, and only while somebody looks. Gives what ends it. */
  goOn(): () => void {
    const pause = Math.max(LEAST_PAUSE_S, this.past?.stepS ?? 0) * 1000;
    const look = (): void => {
      if (document.visibilityState === "visible" && Date.now() - this.now * 1000 >= pause) this.now = Date.now() / 1000;
    };
    const timer = setInterval(look, pause);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }
}

/** Limits as they are now; where nothing is measured now, as far as they are known otherwise. */
export function limitsNow(past: Past | null, known: Partial<Limits>): Limits {
  const told = limitsOf(past?.newest ?? null);
  return {
    cpu: told.cpu ?? known.cpu ?? null,
    memory: told.memory ?? known.memory ?? null,
    disk: told.disk ?? known.disk ?? null,
    players: told.players,
  };
}

function graphOf({ kind, id }: Subject, span: Span, points: number, signal: AbortSignal): Promise<Graph> {
  const query = { ...asTimes(span), points };
  return kind === "server"
    ? the(api.GET("/api/servers/{server_id}/figures", { params: { path: { server_id: id }, query }, signal }))
    : the(api.GET("/api/nodes/{node_id}/figures", { params: { path: { node_id: id }, query }, signal }));
}

function eventsOf(id: string, span: Span, signal: AbortSignal): Promise<Schemas["Page_EventView_"]> {
  const query = { ...asTimes(span), kind: [STATUS, CRASHED], limit: MOST_EVENTS };
  return the(api.GET("/api/servers/{server_id}/events", { params: { path: { server_id: id }, query }, signal }));
}

function asTimes({ from, to }: Span): { since: string; until: string } {
  return { since: new Date(from * 1000).toISOString(), until: new Date(to * 1000).toISOString() };
}

function pastOf(span: Span, graph: Graph, events: Told[], areMore: boolean): Past {
  const start = Date.parse(graph.start) / 1000;
  const times = graph.columns.cpu_percent.map((_, at) => start + at * graph.step_s);
  return { span, times, stepS: graph.step_s, columns: graph.columns, newest: graph.newest, events, areMore };
}
