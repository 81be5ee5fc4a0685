import type { components } from "../../api/schema";

type Schemas = components["schemas"];
export type TemplateCard = Schemas["TemplateView"];
export type Startup = Schemas["StartupView"];
export type ServerStartup = Schemas["ServerStartupView"];
export type Variable = Schemas["VariableView"];
export type Choice = Schemas["Choice"];
export type Preview = Schemas["PreviewView"];
export type Upgrade = Schemas["UpgradeView"];
export type FieldProblem = Schemas["Problem"];

/** What a person decided, of what a template leaves open: nothing else is sent. */
export interface Decided {
  image: string | null;
  startup: string | null;
  variables: Record<string, string>;
}

export function undecided(): Decided {
  return { image: null, startup: null, variables: {} };
}

/** What is wrong, by the names of fields. */
export function byField(problems: readonly FieldProblem[]): Record<string, string> {
  return Object.fromEntries(problems.map(({ field, message }) => [field, message]));
}
