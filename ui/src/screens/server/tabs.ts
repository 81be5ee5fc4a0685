import { navigate, p } from "../../routes";
import { session } from "../../state/session.svelte";
import type { Texts } from "../../text/en";

/** What a server's page shows, one at a time; `key` is that of its shortcut. */
export const TABS = [
  { tab: "console", key: "c", to: "servers.console", name: (t: Texts) => t.server.tabs.console },
  { tab: "figures", key: "g", to: "servers.see", name: (t: Texts) => t.figures.history.label },
  { tab: "players", key: "p", to: "servers.see", name: (t: Texts) => t.server.tabs.players },
  { tab: "activity", key: "a", to: "servers.events", name: (t: Texts) => t.server.tabs.activity },
  { tab: "startup", key: "u", to: "servers.startup", name: (t: Texts) => t.settings.startup },
  { tab: "settings", key: "e", to: "servers.reinstall", name: (t: Texts) => t.settings.title },
] as const;

export type Tab = (typeof TABS)[number];

/** Those at which one may look. */
export function tabs(): Tab[] {
  return TABS.filter(({ to }) => session.may(to));
}

export function addressOf(tab: Tab["tab"], id: string): string {
  return tab === "console" ? p("/servers/:id", { params: { id } }) : p("/servers/:id/:tab", { params: { id, tab } });
}

export function show(tab: Tab["tab"], id: string): void {
  if (tab === "console") void navigate("/servers/:id", { params: { id } });
  else void navigate("/servers/:id/:tab", { params: { id, tab } });
}
