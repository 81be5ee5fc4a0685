import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon, type ISearchOptions } from "@xterm/addon-search";
import { WebglAddon } from "@xterm/addon-webgl";
import { Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import { Styles } from "./styles";
import { keepToLines } from "./taming";
import { scrollByKeys, scrollByTouch } from "./scrolling";

export const LINES_KEPT = 10_000;
/** A line may be several rows: the narrower the terminal, the more of them it keeps. */
const CELLS_KEPT = 3_000_000;
const ROWS_KEPT = 15_000;
/** So much at most is handed to the terminal in one frame, so that typing is not delayed by a flood. */
const FRAME_CHARACTERS = 64 * 1024;

/** Some whole lines, with no newline at their end. */
export interface Text {
  lines: number;
  text: string;
}

export interface Told {
  /** The reader, or what was written, has moved. */
  onPlace: (isAtTop: boolean, isAtBottom: boolean) => void;
  onSelected: (isAnything: boolean) => void;
  /** Which match of how many; `at` is -1 where there are too many to know. */
  onMatches: (at: number, count: number) => void;
}

/**
 * A terminal that only shows. What is written is gathered, and handed over once a frame; of a flood the newest `LINES_KEPT` lines, for no more would
 * be kept.
 */
export class Screen {
  #terminal: Terminal;
  #fit = new FitAddon();
  #search = new SearchAddon();
  #styles = new Styles();
  #waiting: Text[] = [];
  #waitingLines = 0;
  #isWriting = false;
  /** Something that waited was left out. */
  #isCut = false;
  #isMoving = false;
  #turn = 0;
  #observer: ResizeObserver;
  #colours: { match: string; now: string };

  constructor(
    element: HTMLElement,
    private readonly told: Told,
  ) {
    const style = getComputedStyle(element);
    const token = (name: string): string => style.getPropertyValue(name).trim();
    this.#colours = { match: token("--terminal-match"), now: token("--terminal-match-now") };
    this.#terminal = new Terminal({
      theme: { background: token("--terminal"), foreground: token("--terminal-text") },
      convertEol: true,
      disableStdin: true,
      cursorInactiveStyle: "none",
      scrollback: ROWS_KEPT,
      fontFamily: token("--mono"),
      fontSize: 13,
      minimumContrastRatio: 4.5,
      allowProposedApi: true,
    });
    this.#terminal.loadAddon(this.#fit);
    this.#terminal.loadAddon(this.#search);
    this.#styles.gather(() => this.#terminal.open(element));
    this.#drawFast();
    keepToLines(this.#terminal.parser);
    scrollByKeys(this.#terminal);
    scrollByTouch(this.#terminal, element);
    this.#terminal.onScroll(() => this.#look());
    this.#terminal.onSelectionChange(() => told.onSelected(this.#terminal.hasSelection()));
    this.#search.onDidChangeResults((found) => told.onMatches(found.resultIndex, found.resultCount));
    this.#observer = new ResizeObserver(() => this.#fitIn());
    this.#observer.observe(element);
  }

  append(text: Text): void {
    this.#waiting.push(text);
    this.#waitingLines += text.lines;
    while (this.#waitingLines > LINES_KEPT && this.#waiting.length > 1) {
      this.#waitingLines -= this.#waiting.shift()?.lines ?? 0;
      this.#isCut = true;
    }
    this.#writeSoon();
  }

  /** These instead of all that was there. With `after`, the reader stands where that begins, otherwise at the end. */
  show(before: Text[], after: Text[] | null, isMarked = false): void {
    this.#forget();
    const turn = this.#turn;
    this.#isMoving = true;
    this.#terminal.write("", () => turn === this.#turn && this.#terminal.reset());
    this.#put(before, () => {
      if (turn !== this.#turn) return;
      const place = this.#terminal.registerMarker(0);
      this.#put(after ?? [], () => {
        if (turn !== this.#turn) return;
        if (after !== null) this.#standAt(place.line, isMarked);
        place.dispose();
        this.#isMoving = false;
        this.#look();
      });
    });
  }

  /** It never has more lines than that. */
  get rowsKept(): number {
    return this.#terminal.rows + (this.#terminal.options.scrollback ?? 0);
  }

  /** How many lines there are, once all that was handed over is there. */
  async countLines(): Promise<number> {
    await new Promise<void>((done) => this.#terminal.write("", done));
    const buffer = this.#terminal.buffer.active;
    let count = this.#waitingLines;
    for (let row = 0; row < buffer.baseY + buffer.cursorY; row++) if (!buffer.getLine(row)?.isWrapped) count += 1;
    return count;
  }

  toBottom(): void {
    this.#terminal.scrollToBottom();
    this.#look();
  }

  /** Goes to the match before or after the one that is selected; from the end where none is. */
  find(text: string, direction: "up" | "down", isCaseSensitive: boolean): void {
    const options: ISearchOptions = {
      caseSensitive: isCaseSensitive,
      decorations: {
        matchBackground: this.#colours.match,
        matchOverviewRuler: this.#colours.match,
        activeMatchBackground: this.#colours.now,
        activeMatchColorOverviewRuler: this.#colours.now,
      },
    };
    if (direction === "up") this.#search.findPrevious(text, options);
    else this.#search.findNext(text, options);
    this.#look();
  }

  endFinding(): void {
    this.#search.clearDecorations();
    this.#terminal.clearSelection();
  }

  /** What is selected; all that is in view where nothing is. */
  get selection(): string {
    if (this.#terminal.hasSelection()) return this.#terminal.getSelection();
    const buffer = this.#terminal.buffer.active;
    const rows = Array.from({ length: this.#terminal.rows }, (_, row) => buffer.getLine(buffer.viewportY + row));
    const text = rows.map((row, at) => `${at > 0 && !row?.isWrapped ? "\n" : ""}${row?.translateToString(true) ?? ""}`);
    return text.join("").trimEnd();
  }

  /** Lines are in the page as text, and new ones are read aloud; slower, so it is asked for. */
  set isReadAloud(wanted: boolean) {
    this.#terminal.options.screenReaderMode = wanted;
  }

  focus(): void {
    this.#terminal.focus();
  }

  close(): void {
    this.#forget();
    this.#observer.disconnect();
    this.#terminal.dispose();
    this.#styles.close();
  }

  /** Nothing of what waits or is under way has any effect any more. */
  #forget(): void {
    this.#turn += 1;
    this.#waiting = [];
    this.#waitingLines = 0;
    this.#isWriting = this.#isCut = this.#isMoving = false;
  }

  #put(texts: Text[], done: () => void): void {
    for (const each of texts) this.#terminal.write(`${each.text}\n`);
    this.#terminal.write("", done);
  }

  #standAt(row: number, isMarked: boolean): void {
    this.#terminal.scrollToLine(Math.max(0, row - Math.floor(this.#terminal.rows / 3)));
    if (isMarked) this.#terminal.selectLines(row, row);
  }

  #writeSoon(): void {
    if (this.#isWriting) return;
    this.#isWriting = true;
    const turn = this.#turn;
    requestAnimationFrame(() => turn === this.#turn && this.#flush());
  }

  /** After a cut nothing of what is there goes on in what comes. */
  #flush(): void {
    if (this.#isCut) this.#terminal.reset();
    this.#isCut = false;
    let size = 0;
    let count = 0;
    while (count < this.#waiting.length && size < FRAME_CHARACTERS) size += this.#waiting[count++]?.text.length ?? 0;
    const texts = this.#waiting.splice(0, count);
    this.#waitingLines -= texts.reduce((sum, each) => sum + each.lines, 0);
    const turn = this.#turn;
    this.#put(texts, () => {
      if (turn !== this.#turn) return;
      this.#isWriting = false;
      this.#look();
      if (this.#waiting.length) this.#writeSoon();
    });
  }

  #look(): void {
    if (this.#isMoving) return;
    const buffer = this.#terminal.buffer.active;
    this.told.onPlace(buffer.baseY > 0 && buffer.viewportY === 0, buffer.viewportY >= buffer.baseY);
  }

  #fitIn(): void {
    this.#fit.fit();
    this.#terminal.options.scrollback = Math.max(ROWS_KEPT, Math.floor(CELLS_KEPT / this.#terminal.cols));
    this.#look();
  }

  /** Without WebGL it draws into the page, which is slower. */
  #drawFast(): void {
    try {
      const webgl = new WebglAddon();
      webgl.onContextLoss(() => this.#styles.gather(() => webgl.dispose()));
      this.#terminal.loadAddon(webgl);
    } catch {
      return;
    }
  }
}
