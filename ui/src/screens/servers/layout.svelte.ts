const KEY = "servers.layout";
export type Layout = "cards" | "table";
export const LAYOUTS: readonly Layout[] = ["cards", "table"];

/** Cards or a table, as it was chosen here last. */
class Chosen {
  layout = $state<Layout>(LAYOUTS.find((each) => each === localStorage.getItem(KEY)) ?? "cards");

  choose(layout: Layout): void {
    this.layout = layout;
    localStorage.setItem(KEY, layout);
  }
}

export const chosen = new Chosen();
