import type { shell as english } from "../en/shell";

export const shell: typeof english = {
  language: "Deutsch",
  product: "Ctrl-Alt-Play",
  skip: "Zum Inhalt springen",
  nav: { label: "Hauptmenü", servers: "Server", nodes: "Nodes", account: "Konto", signOut: "Abmelden" },
  theme: { label: "Darstellung", system: "Wie das System", light: "Hell", dark: "Dunkel" },
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
    away: (seconds) => `Keine Verbindung zum Panel. Neuer Versuch ${seconds > 0 ? `in ${seconds} s` : "läuft"} …`,
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
