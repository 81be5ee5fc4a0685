import { api, Failed, the } from "../../api/client";
import type { components } from "../../api/schema";
import type { Channel, Frame } from "../../live/channel.svelte";
import { words } from "../../text/words.svelte";
import { LINES_KEPT, type Screen, type Text } from "./terminal";

type Line = components["schemas"]["ConsoleLine"];
type Loss = NonNullable<Line["lost"]>;
const PAGE = 1000;

/** Lines of a console that follow on each other, or such as are not there. */
interface Part {
  offset: number;
  lines: number;
  stream: Line["stream"];
  text: string | null;
  lost: Loss | null;
}

/**
 * The part of a console that is on the screen: at most the newest 10,000 lines and a little. It is live, and goes on by itself; or it is a part of the
 * past, which goes on when the reader comes to its end, until it has caught up.
 */
export class Transcript {
  isLive = $state(true);
  hasEarlier = $state(false);
  isLoading = $state(false);
  error = $state.raw<unknown>(null);
  /** Lines that came while the reader was elsewhere. */
  unseen = $state(0);

  #parts: Part[] = [];
  #lines = 0;
  #isAtBottom = true;
  #turn = 0;
  #end: (() => void) | undefined;

  constructor(
    private readonly id: string,
    private readonly channel: Channel,
    private readonly screen: Screen,
  ) {
    this.#follow();
  }

  close(): void {
    this.#turn += 1;
    this.#end?.();
  }

  /** Where the reader is; at either end of what is here, more is fetched. */
  look(isAtTop: boolean, isAtBottom: boolean): void {
    this.#isAtBottom = isAtBottom;
    if (isAtBottom && this.isLive) this.unseen = 0;
    if (isAtTop) void this.earlier();
    else if (isAtBottom && !this.isLive) void this.#later();
  }

  /** The newest lines, and what follows. */
  toNewest(): void {
    if (this.isLive) this.screen.toBottom();
    else {
      this.#set([]);
      this.screen.show([], null);
      this.#follow();
    }
  }

  /** What came before all that is here; the reader stays where they are. Where that becomes too much, the newest go. */
  async earlier(): Promise<void> {
    if (!this.hasEarlier || this.isLoading) return;
    this.#keepNewest(await this.screen.countLines());
    const first = this.first;
    if (first === null) return;
    if (this.#lines + PAGE > LINES_KEPT) this.#leave();
    await this.#fetch({ before: first }, (parts, hasMore) => {
      if (this.first !== first) return;
      this.hasEarlier = hasMore;
      const after = this.#parts;
      this.#set([...parts, ...after]);
      while (this.#lines > LINES_KEPT && !this.isLive) this.#lines -= rows(this.#parts.pop());
      this.screen.show(parts.map(shown), this.#parts.slice(parts.length).map(shown));
    });
  }

  /** The lines around this one, which is marked. */
  async goTo(number: number): Promise<void> {
    await this.#fetch({ before: number + PAGE / 2 }, (parts, hasMore) => {
      this.#leave();
      this.hasEarlier = hasMore;
      this.#set(parts);
      const at = parts.findIndex((each) => each.offset >= number);
      this.screen.show(parts.slice(0, at).map(shown), parts.slice(at).map(shown), true);
    });
  }

  /** The number of the first line that is here. */
  get first(): number | null {
    return this.#parts[0]?.offset ?? null;
  }

  async #later(): Promise<void> {
    const last = this.#parts.at(-1);
    if (!last) return;
    const after = last.offset + last.lines;
    await this.#fetch({ after }, (parts) => {
      for (const part of parts) this.#append(part);
      if (parts.length === 0) this.#follow(after);
    });
  }

  /** What is still under way of an earlier subscription comes before the word that this one has begun. */
  #follow(after?: number): void {
    this.#turn += 1;
    this.isLive = true;
    this.isLoading = false;
    this.unseen = 0;
    let isBegun = false;
    const listen = (frame: Frame): void => {
      isBegun ||= frame.kind === "subscribed";
      if (isBegun || frame.kind === "error") this.#hear(frame);
    };
    this.#end = this.channel.subscribe(`console:${this.id}`, listen, after);
  }

  #leave(): void {
    this.isLive = false;
    this.#end?.();
  }

  #hear(frame: Frame): void {
    if (frame.kind === "error") {
      this.error = new Failed({ status: 0, code: frame.code ?? "", detail: frame.message ?? "" });
    }
    if (frame.kind !== "lines") return;
    for (const part of (frame.data as { parts: Part[] }).parts) {
      if (this.first === null) this.hasEarlier = part.offset > 0 && part.lost !== "rotated";
      this.#append(part);
      if (!this.#isAtBottom) this.unseen += part.lines;
    }
  }

  #append(part: Part): void {
    this.#parts.push(part);
    this.#lines += rows(part);
    this.screen.append(shown(part));
    if (this.#lines > this.screen.rowsKept) this.#keepNewest(this.screen.rowsKept);
  }

  #keepNewest(count: number): void {
    let gone = 0;
    while (this.#lines > count && gone < this.#parts.length) {
      const part = this.#parts[gone] as Part;
      const surplus = this.#lines - count;
      this.#lines -= Math.min(surplus, rows(part));
      if (surplus >= rows(part)) gone += 1;
      else this.#parts[gone] = { ...part, ...rest(part, surplus) };
      this.hasEarlier = true;
    }
    this.#parts.splice(0, gone);
  }

  #set(parts: Part[]): void {
    this.#parts = [...parts];
    this.#lines = parts.reduce((sum, each) => sum + rows(each), 0);
  }

  async #fetch(query: { before?: number; after?: number }, use: (parts: Part[], hasMore: boolean) => void) {
    if (this.isLoading) return;
    this.isLoading = true;
    const turn = this.#turn;
    try {
      const params = { path: { server_id: this.id }, query: { ...query, lines: PAGE } };
      const page = await the(api.GET("/api/servers/{server_id}/console", { params }));
      if (turn !== this.#turn) return;
      this.error = null;
      use(page.lines.map(asPart), page.earlier !== null);
    } catch (found) {
      if (turn === this.#turn) this.error = found;
    } finally {
      if (turn === this.#turn) this.isLoading = false;
    }
  }
}

function asPart(line: Line): Part {
  const lost = line.lost ?? null;
  return { offset: line.number, lines: line.count, stream: line.stream, text: lost === null ? line.text : null, lost };
}

/** On the screen a gap is one line. */
function rows(part: Part | undefined): number {
  return part?.lost === null ? part.lines : part ? 1 : 0;
}

/** What is left of a part without its first lines. */
function rest(part: Part, without: number): Partial<Part> {
  const text = (part.text ?? "").split("\n").slice(without).join("\n");
  return { offset: part.offset + without, lines: part.lines - without, text };
}

const FAINT = "2;3";
const OF_THE_NODE = "36";

/** What no program wrote stands apart from what they write. */
function aside(text: string, look: string): string {
  return `\x1b[0;${look}m── ${text} ──\x1b[0m`;
}

function shown(part: Part): Text {
  const text = part.text ?? "";
  if (part.lost !== null) return { lines: 1, text: aside(words.t.console.lost[part.lost](part.lines), FAINT) };
  if (part.stream !== "node") return { lines: part.lines, text };
  const said = text.split("\n").map((line) => aside(line, OF_THE_NODE));
  return { lines: part.lines, text: said.join("\n") };
}
