import type { Content } from "../../api/client";
import type { KeyValue } from "../../design/KeyValues.svelte";

type File = Content["configuration"][number];
type Scalar = File["replacements"][number]["value"];
type Variable = Content["variables"][number];

export interface ReplacementRow {
  match: string;
  ifValue: string;
  value: string;
  /** As it was: a number that nobody touched stays a number. */
  was: Scalar;
}

export interface FileRow {
  path: string;
  parser: File["parser"];
  replacements: ReplacementRow[];
}

export interface VariableRow extends Omit<Variable, "rules"> {
  /** One for each line. */
  rules: string;
}

/** A template as it stands in a form. */
export interface Form {
  name: string;
  author: string;
  description: string;
  icon: string | null;
  updateUrl: string;
  tags: string;
  features: string;
  images: KeyValue[];
  startups: KeyValue[];
  stop: string;
  done: string;
  stripAnsi: boolean;
  variables: VariableRow[];
  files: FileRow[];
  denied: string;
  installImage: string;
  entrypoint: string;
  script: string;
}

export const PARSERS = ["properties", "ini", "json", "yaml", "toml", "xml", "file"] as const;

const rows = (named: Record<string, string>): KeyValue[] =>
  Object.entries(named).map(([name, value]) => ({ name, value }));
const named = (list: KeyValue[]): Record<string, string> =>
  Object.fromEntries(list.filter((row) => row.value.trim()).map((row) => [row.name || row.value, row.value]));
const lines = (text: string): string[] => text.split("\n").filter((line) => line.trim());
const parts = (text: string): string[] =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean);

export function parsedRules(rules: readonly string[]): string {
  return rules.join(" | ");
}

export function emptyVariable(): VariableRow {
  const base = { name: "", description: "", environment_name: "", default: "", position: null };
  return { ...base, is_viewable: true, is_editable: true, rules: "" };
}

export function emptyReplacement(): ReplacementRow {
  return { match: "", ifValue: "", value: "", was: "" };
}

export function formOf(content: Content): Form {
  return {
    name: content.name,
    author: content.author,
    description: content.description,
    icon: content.icon,
    updateUrl: content.update_url ?? "",
    tags: content.tags.join(", "),
    features: content.features.join(", "),
    images: rows(content.images),
    startups: rows(content.startup_commands),
    stop: content.stop,
    done: (content.readiness.done ?? []).join("\n"),
    stripAnsi: content.readiness.strip_ansi ?? false,
    variables: content.variables.map((each) => ({ ...each, rules: each.rules.join("\n") })),
    files: content.configuration.map(({ path, parser, replacements }) => ({
      path,
      parser,
      replacements: replacements.map(({ match, value, if_value }) => ({
        match,
        ifValue: if_value ?? "",
        value: String(value),
        was: value,
      })),
    })),
    denied: content.denied_files.join("\n"),
    installImage: content.installer?.image ?? "",
    entrypoint: content.installer?.entrypoint ?? "",
    script: content.installer?.script ?? "",
  };
}

/** What the form does not have is as it was. */
export function contentOf(form: Form, before: Content): Content {
  return {
    ...before,
    name: form.name.trim(),
    author: form.author.trim(),
    description: form.description,
    icon: form.icon,
    update_url: form.updateUrl.trim() || null,
    tags: parts(form.tags),
    features: parts(form.features),
    images: named(form.images),
    startup_commands: named(form.startups),
    stop: form.stop,
    readiness: { done: lines(form.done), strip_ansi: form.stripAnsi },
    variables: form.variables.map((each) => ({ ...each, rules: lines(each.rules).map((rule) => rule.trim()) })),
    configuration: form.files.map(({ path, parser, replacements }) => ({
      path,
      parser,
      replacements: replacements.map(({ match, ifValue, value, was }) => ({
        match,
        value: String(was) === value ? was : value,
        if_value: ifValue || null,
      })),
    })),
    denied_files: lines(form.denied),
    installer: form.script.trim()
      ? { image: form.installImage.trim(), entrypoint: form.entrypoint.trim() || "ash", script: form.script }
      : null,
  };
}
