/** Whether the panel has another page by now than the one that is open. */
class Update {
  isThere = $state(false);

  constructor() {
    addEventListener("vite:preloadError", () => void this.look());
  }

  /** Asks the panel: for when it was away, it may have come back as another. */
  async look(): Promise<void> {
    const here = document.querySelector<HTMLScriptElement>("script[type=module]");
    const page = await fetch("/", { cache: "no-cache" }).then(
      (answer) => (answer.ok ? answer.text() : null),
      unanswered,
    );
    if (here && page !== null && !page.includes(new URL(here.src).pathname)) this.isThere = true;
  }
}

const unanswered = (): null => null;

export const update = new Update();
