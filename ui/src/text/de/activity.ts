import type { happenings as english } from "../en/activity";

export const happenings: typeof english = {
  happenings: {
    crashed: "Abgestürzt",
    joined: (names) => `Gekommen: ${names}.`,
    left: (names) => `Gegangen: ${names}.`,
    became: {
      running: "Läuft",
      stopped: "Gestoppt",
      created: "Installiert",
      deleted: "Gelöscht",
      start_failed: "Ließ sich nicht starten",
      stop_failed: "Ließ sich nicht stoppen",
      create_failed: "Ließ sich nicht installieren",
      delete_failed: "Ließ sich nicht löschen",
    },
  },
};
