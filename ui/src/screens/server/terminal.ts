import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { WebglAddon } from "@xterm/addon-webgl";
import { Terminal, type ITheme } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";

export const LINES_KEPT = 10_000;
const FRAME_CHARACTERS = 256 * 1024;
/** So much at most is handed to the terminal in one frame, so that typing is not delayed by a flood. */

/**
 * A terminal that only shows. What is written is gathered, and handed over once a frame; of a flood the newest `LINES_KEPT` lines, for no more would
 * be kept.
 */
export class Screen {
  readonly search = new SearchAddon();

  #terminal: Terminal;
  #fit = new FitAddon();
  #styles = new Styles();
  #waiting: string[] = [];
  #isWriting = false;
  #observer: ResizeObserver;
  #unseen = 0;

  /** `onUnseen` is told how many lines have come since the reader scrolled up; 0 at the bottom. */
  constructor(
    element: HTMLElement,
    theme: ITheme,
    private readonly onUnseen: (isAtBottom: boolean, lines: number) => void,
  ) {
    this.#terminal = new Terminal({
      theme,
      convertEol: true,
      disableStdin: true,
      cursorInactiveStyle: "none",
      scrollback: LINES_KEPT,
      fontFamily: getComputedStyle(element).getPropertyValue("--mono"),
      fontSize: 13,
      minimumContrastRatio: 4.5,
      screenReaderMode: false,
      allowProposedApi: true,
    });
    this.#terminal.loadAddon(this.#fit);
    this.#terminal.loadAddon(this.search);
    this.#styles.gather(() => this.#terminal.open(element));
    this.#terminal.attachCustomKeyEventHandler((event) => event.key !== "Tab"); // which leads on, as everywhere
    this.#drawFast();
    this.#terminal.onScroll(() => this.#look(0));
    this.#observer = new ResizeObserver(() => this.#fit.fit());
    this.#observer.observe(element);
  }

  write(lines: string[]): void {
    this.#waiting.push(...lines);
    if (this.#waiting.length > LINES_KEPT) this.#waiting.splice(0, this.#waiting.length - LINES_KEPT);
    if (!this.#isWriting) {
      this.#isWriting = true;
      requestAnimationFrame(() => this.#flush());
    }
  }

  clear(): void {
    this.#waiting = [];
    this.#terminal.reset();
  }

  toBottom(): void {
    this.#terminal.scrollToBottom();
    this.#look(0);
  }

  close(): void {
    this.#observer.disconnect();
    this.#terminal.dispose();
    this.#styles.close();
  }

  #flush(): void {
    let size = 0;
    let count = 0;
    while (count < this.#waiting.length && size < FRAME_CHARACTERS) size += (this.#waiting[count++]?.length ?? 0) + 1;
    const lines = this.#waiting.splice(0, count);
    this.#terminal.write(`${lines.join("\n")}\n`, () => {
      this.#look(lines.length);
      if (this.#waiting.length) requestAnimationFrame(() => this.#flush());
      else this.#isWriting = false;
    });
  }

  #look(come: number): void {
    const buffer = this.#terminal.buffer.active;
    const isAtBottom = buffer.viewportY >= buffer.baseY;
    this.#unseen = isAtBottom ? 0 : this.#unseen + come;
    this.onUnseen(isAtBottom, this.#unseen);
  }

  #drawFast(): void {
    try {
      const webgl = new WebglAddon();
      webgl.onContextLoss(() => webgl.dispose());
      this.#terminal.loadAddon(webgl);
    } catch {
      return; // without WebGL it draws into the page, which is slower
    }
  }
}

/** The terminal writes its styles into elements, which our content security policy forbids; here they become sheets, which it allows. */
class Styles {
  #sheets: CSSStyleSheet[] = [];

  /** Does something that makes such elements, at once. */
  gather(work: () => void): void {
    const make = document.createElement.bind(document);
    document.createElement = ((tag: string, options?: ElementCreationOptions) =>
      tag === "style" ? this.#make(make("template")) : make(tag, options)) as typeof document.createElement;
    try {
      work();
    } finally {
      Reflect.deleteProperty(document, "createElement");
    }
  }

  close(): void {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => !this.#sheets.includes(each));
  }

  #make(element: HTMLElement): HTMLElement {
    const sheet = new CSSStyleSheet();
    this.#sheets.push(sheet);
    document.adoptedStyleSheets.push(sheet);
    return Object.defineProperty(element, "textContent", { set: (css: string) => sheet.replaceSync(css) });
  }
}
