import { shortcuts } from "../state/shortcuts.svelte";
import { deeds } from "./deeds";
import { opened } from "./opened.svelte";

const PAUSE_MS = 1500;
/** So long the second key of two may take. */
const WRITTEN_INTO = "input, textarea, select, [contenteditable], [role=combobox], .xterm";
const OVER = "dialog[open], :popover-open";

let begun = "";
let timer: ReturnType<typeof setTimeout> | undefined;

/** Does what stands behind a key, unless somebody is writing, or something lies over the screen. */
export function press(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing) return;
  if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
    if (opened.what === null && document.querySelector(OVER)) return;
    event.preventDefault();
    opened.what = opened.what === "palette" ? null : "palette";
  } else if (!event.ctrlKey && !event.metaKey && !event.altKey && event.key.length === 1 && isFree(event)) {
    if (pressed(event.key)) event.preventDefault();
  }
}

function isFree(event: KeyboardEvent): boolean {
  const target = event.target as Element | null;
  return shortcuts.areOn && !event.repeat && !target?.closest?.(WRITTEN_INTO) && !document.querySelector(OVER);
}

function pressed(key: string): boolean {
  const keys = begun ? `${begun} ${key}` : key;
  clearTimeout(timer);
  begun = "";
  const all = deeds();
  const found = all.find((deed) => deed.keys === keys);
  if (found) {
    if (found.fits) found.act();
  } else if (all.some((deed) => deed.keys.startsWith(`${keys} `))) {
    begun = keys;
    timer = setTimeout(() => (begun = ""), PAUSE_MS);
  } else return begun === "" && keys !== key && pressed(key);
  return true;
}
