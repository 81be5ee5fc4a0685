export const design = {
  design: {
    title: "Components",
    lead: "What the page is made of, in all its states, light and dark.",
    tokens: "Tokens",
    open: (name: string) => `Open ${name}`,
    copy: "Copy",
  },
};
