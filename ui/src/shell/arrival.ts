import { tick } from "svelte";

/** Where each entry of the browser's history was left, by its number. */
const left = new Map<number, number>();
let wanted = 0;
let end: (() => void) | undefined;

function place(): number {
  return (history.state as { _routerIndex?: number } | null)?._routerIndex ?? 0;
}

/** Notes how far one has read, and knows it again on the way back. Gives what ends that. */
export function followScrolling(): () => void {
  const ending = new AbortController();
  const { signal } = ending;
  history.scrollRestoration = "manual";
  addEventListener("scroll", () => left.set(place(), scrollY), { passive: true, signal });
  addEventListener("popstate", () => (wanted = left.get(place()) ?? 0), { signal });
  return () => ending.abort();
}

/** A new screen is here: its heading is read out, and one sees it from its beginning, or from where one left it. */
export async function arrive(main: HTMLElement): Promise<void> {
  end?.();
  await tick();
  const aim = wanted;
  wanted = 0;
  if (!main.contains(document.activeElement)) main.focus({ preventScroll: true });
  const observer = new MutationObserver(settle);
  const sizes = new ResizeObserver(settle);
  end = () => {
    observer.disconnect();
    sizes.disconnect();
  };
  observer.observe(main, { childList: true, subtree: true });
  sizes.observe(main);
  settle();

  /** Once it has come: what a screen shows may take a moment. */
  function settle(): void {
    if (aim > 0 && scrollY < aim) scrollTo(0, aim);
    const heading = main.querySelector<HTMLElement>("h1");
    if (heading && document.activeElement === main) {
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
    }
    if (heading && (aim === 0 || scrollY >= aim || document.activeElement !== heading)) end?.();
  }
}
