import type { design as english } from "../en/design";

export const design: typeof english = {
  design: {
    title: "Bausteine",
    lead: "Woraus die Seite besteht, in allen Zuständen, hell und dunkel.",
    tokens: "Tokens",
    open: (name) => `${name} öffnen`,
    copy: "Kopieren",
  },
};
