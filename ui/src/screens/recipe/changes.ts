/** What was changed in a form, and by whom. */

import { asked, type Change, type Form } from "./recipe";

const RULES = ["limits", "stop", "readiness", "crash", "console"] as const;
const PARTS = ["tags", "image", "startup", "environment", "ports", "query", ...RULES] as const;

/** What is another in the second: of a rule the fields that are, of all else the whole. */
export function difference(before: Form, after: Form): Change {
  const [was, is] = [asked(before), asked(after)];
  const found: Record<string, unknown> = before.name === after.name ? {} : { name: after.name };
  for (const part of PARTS) {
    if (isSame(was[part], is[part])) continue;
    found[part] = isRule(part) ? fieldsOf(was[part], is[part]) : is[part];
  }
  return found as Change;
}

function isRule(part: string): boolean {
  return (RULES as readonly string[]).includes(part);
}

function fieldsOf(was: unknown, is: unknown): object {
  const before = was as Record<string, unknown>;
  return Object.fromEntries(Object.entries(is as object).filter(([name, value]) => !isSame(before[name], value)));
}

/** Null and nothing are the same, and so is another order of the same fields. */
export function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(ordered(one)) === JSON.stringify(ordered(other));
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).filter(([, each]) => each != null);
  return Object.fromEntries(
    fields.sort(([one], [other]) => (one < other ? -1 : 1)).map(([n, each]) => [n, ordered(each)]),
  );
}

type Fields = Record<string, unknown>;

/** With `mine` where I changed it, and `theirs` where I left it alone: field by field. */
export function merged<Shape>(base: Shape, mine: Shape, theirs: Shape): Shape {
  if (isSame(mine, base)) return theirs;
  if (!isFields(mine)) return mine;
  const [was, other] = [base as Fields, theirs as Fields];
  return Object.fromEntries(
    Object.entries(mine).map(([name, value]) => [name, merged(was[name], value, other[name])]),
  ) as Shape;
}

/** The parts of which both changed the same field, each to something else. */
export function clashes(base: Form, mine: Form, theirs: Form): string[] {
  const [was, is, other] = [base as unknown as Fields, mine as unknown as Fields, theirs as unknown as Fields];
  return Object.keys(is).filter((part) => isClash(was[part], is[part], other[part]));
}

function isClash(base: unknown, mine: unknown, theirs: unknown): boolean {
  if (isSame(mine, base) || isSame(theirs, base) || isSame(mine, theirs)) return false;
  if (!isFields(mine)) return true;
  const [was, other] = [base as Fields, theirs as Fields];
  return Object.entries(mine).some(([name, value]) => isClash(was[name], value, other[name]));
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
