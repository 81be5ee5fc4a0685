export const shell = {
  language: "English",
  product: "Ctrl-Alt-Play",
  skip: "Skip to the content",
  nav: { label: "Main", servers: "Servers", nodes: "Nodes", account: "Account", signOut: "Sign out" },
  theme: { label: "Appearance", system: "As the system", light: "Light", dark: "Dark" },
  signIn: {
    title: "Sign in",
    username: "Username",
    password: "Password",
    submit: "Sign in",
    ended: "Your session has ended: sign in again.",
  },
  setup: {
    title: "Welcome",
    lead: "Nobody has an account on this panel yet. Make the first: it owns the panel.",
    code: "Setup code",
    codeHint: "The panel printed it when it started, at the end of a link.",
    password: "A password of at least 10 characters",
    submit: "Make my account",
  },
  live: {
    connecting: "Connecting …",
    away: (seconds: number) => `No connection to the panel. Trying again ${seconds > 0 ? `in ${seconds} s` : "now"} …`,
  },
  confirm: {
    typeName: (name: string) => `Type ${name} to confirm`,
    cancel: "Cancel",
  },
  copied: "Copied",
  error: {
    network: "The panel could not be reached. Is the connection well?",
    unexpected: "The panel answered something unexpected.",
    request: (id: string) => `Request ${id}`,
  },
};
