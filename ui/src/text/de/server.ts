import type { server as english } from "../en/server";

export const server: typeof english = {
  server: {
    gone: "Diesen Server gibt es nicht mehr, oder er ist nicht deiner.",
    back: "Zurück zu allen Servern",
    start: "Starten",
    stop: "Stoppen",
    restart: "Neu starten",
    kill: "Abwürgen",
    uptime: "Läuft seit",
    figures: "Werte der letzten Minute",
    tabs: { label: "Über diesen Server", console: "Konsole", players: "Spieler", activity: "Verlauf" },
  },
};
