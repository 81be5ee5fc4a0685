import type { installs as english } from "../en/installs";

export const installs: typeof english = {
  reinstall: {
    title: "Neu installieren",
    hint: "Der Server stoppt und sein Installer läuft noch einmal; die Konsole zeigt, was er sagt.",
    hintWithout:
      "Der Server hat keinen Installer. Er lässt sich leeren: Alle seine Dateien gehen, und er fängt neu an.",
    act: "Neu installieren …",
    actWithout: "Leeren …",
    ask: (name) => `${name} neu installieren?`,
    askWithout: (name) => `${name} leeren?`,
    stops: "Der Server stoppt, falls er läuft, und bleibt danach gestoppt. Seine Einstellungen bleiben, wie sie sind.",
    keeps: "Seine Dateien bleiben; der Installer kann einige davon überschreiben.",
    wipe: "Vorher alle Dateien entfernen",
    wipeHint: "Welten, Spielstände und Konfiguration sind endgültig weg.",
    wipes: "Vorher werden alle seine Dateien entfernt: Welten, Spielstände und Konfiguration sind endgültig weg.",
    go: "Neu installieren",
    goWithout: "Leeren",
    fresh: "Mit leerem Ordner noch einmal versuchen …",
    beingInstalled: "Der Server wird installiert; was der Installer sagt, steht oben.",
  },
};
