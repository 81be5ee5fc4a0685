import type { Terminal } from "@xterm/xterm";

const MOVES: Record<string, (terminal: Terminal) => void> = {
  ArrowUp: (terminal) => terminal.scrollLines(-1),
  ArrowDown: (terminal) => terminal.scrollLines(1),
  PageUp: (terminal) => terminal.scrollPages(-1),
  PageDown: (terminal) => terminal.scrollPages(1),
  Home: (terminal) => terminal.scrollToTop(),
  End: (terminal) => terminal.scrollToBottom(),
};

/** Whoever has come to the terminal by keyboard scrolls it by keys, and gets away again: nothing is typed into it. */
export function scrollByKeys(terminal: Terminal): void {
  terminal.attachCustomKeyEventHandler((event) => {
    const move = MOVES[event.key];
    if (move && event.type === "keydown" && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      move(terminal);
    }
    return false;
  });
}

/** A finger moves the lines as it moves anything else in the page. */
export function scrollByTouch(terminal: Terminal, element: HTMLElement): void {
  let from = 0;
  element.addEventListener("touchstart", (event) => (from = event.touches[0]?.clientY ?? 0), { passive: true });
  element.addEventListener(
    "touchmove",
    (event) => {
      const rowHeight = element.clientHeight / terminal.rows;
      const rows = Math.trunc((from - (event.touches[0]?.clientY ?? from)) / rowHeight);
      if (rows === 0) return;
      from -= rows * rowHeight;
      terminal.scrollLines(rows);
    },
    { passive: true },
  );
}
