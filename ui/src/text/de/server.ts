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
    tabs: { label: "Über diesen Server", console: "Konsole", activity: "Verlauf" },
  },
  console: {
    label: "Konsole",
    input: "Befehl",
    placeholder: "Befehl eingeben und Enter drücken",
    send: "Senden",
    newest: (n) => (n > 0 ? `Zum Neuesten, ${n} neu` : "Zum Neuesten"),
    download: "Log herunterladen",
    lost: {
      FLOOD: (n) => `${n} Zeilen ausgelassen: sie kamen zu schnell`,
      SKIPPED: (n) => `${n} Zeilen übersprungen: die Seite kam nicht mit`,
      ROTATED: (n) => `${n} Zeilen werden nicht mehr aufgehoben`,
      AWAY: (n) => (n > 0 ? `${n} Zeilen gingen verloren` : "Hier können Zeilen fehlen"),
    },
  },
};
