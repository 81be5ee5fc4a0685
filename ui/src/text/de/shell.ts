import type { shell as english } from "../en/shell";

export const shell: typeof english = {
  language: "Sprache",
  product: "Ctrl-Alt-Play",
  skip: "Zum Inhalt springen",
  nav: {
    label: "Hauptmenü",
    servers: "Server",
    users: "Benutzer",
    account: "Konto",
    menu: "Dein Konto",
    signOut: "Abmelden",
  },
  theme: { label: "Darstellung", system: "Wie das System", light: "Hell", dark: "Dunkel" },
  palette: {
    open: "Suchen",
    label: "Suche und Befehle",
    placeholder: "Ein Server, ein Node oder was zu tun ist",
    results: "Gefunden",
    none: "Nichts passt. Versuche ein anderes Wort oder weniger Buchstaben.",
    start: (name) => `${name} starten`,
    stop: (name) => `${name} stoppen`,
    restart: (name) => `${name} neu starten`,
    kill: (name) => `${name} sofort beenden`,
  },
  help: {
    title: "Tastenkürzel",
    off: "Sie sind ausgeschaltet. Hier schaltest du sie ein:",
    groups: {
      go: "Gehe zu",
      tab: "Auf der Seite eines Servers: zeigen",
      order: "Auf der Seite eines Servers: tun",
      page: "Überall",
    },
    palette: "Strg K",
    close: "Schließen, was offen ist",
    done: "Schließen",
  },
  trouble: {
    broken: {
      title: "Auf dieser Seite ist etwas kaputtgegangen",
      hint: "Deine Server sind davon nicht betroffen. Lade die Seite neu; passiert es wieder, sag der Person, die das Panel betreut, was hier steht.",
    },
    unloaded: {
      title: "Diese Ansicht konnte nicht geladen werden",
      hint: "Entweder wurde das Panel aktualisiert, seit du die Seite geöffnet hast, oder es ist nicht erreichbar. Lade sie neu, um weiterzumachen.",
    },
    unknown: {
      title: "Hier ist nichts",
      hint: "Die Adresse ist falsch, oder was hier war, ist umgezogen.",
    },
    away: {
      title: "Das Panel antwortet nicht",
      hint: "Deine Server laufen ohne es weiter. Versuche es gleich noch einmal.",
    },
  },
  update: {
    isThere: "Das Panel wurde aktualisiert. Lade die Seite neu, um mit der neuen weiterzumachen.",
    reload: "Neu laden",
    dismiss: "Schließen",
  },
  signIn: {
    title: "Anmelden",
    username: "Benutzername",
    password: "Passwort",
    submit: "Anmelden",
    ended: "Deine Sitzung ist zu Ende: melde dich neu an.",
  },
  setup: {
    title: "Willkommen",
    lead: "Auf diesem Panel hat noch niemand ein Konto. Lege das erste an: ihm gehört das Panel.",
    code: "Einrichtungscode",
    codeHint: "Das Panel hat ihn beim Start ausgegeben, am Ende eines Links.",
    password: "Ein Passwort mit mindestens 10 Zeichen",
    submit: "Mein Konto anlegen",
  },
  live: {
    connecting: "Verbinde …",
    away: "Keine Verbindung zum Panel.",
    retry: (seconds) => `Neuer Versuch ${seconds > 0 ? `in ${seconds} s` : "läuft"} …`,
  },
  confirm: {
    typeName: (name) => `Zum Bestätigen ${name} eintippen`,
    cancel: "Abbrechen",
  },
  copied: "Kopiert",
  error: {
    network: "Das Panel ist nicht erreichbar. Steht die Verbindung?",
    unexpected: "Das Panel hat etwas Unerwartetes geantwortet.",
    request: (id) => `Anfrage ${id}`,
  },
};
