/** What someone has typed and not sent: it outlives a reload, and nothing else. */

export function recall<Shape>(key: string): Shape | null {
  const text = sessionStorage.getItem(key);
  return text === null ? null : (JSON.parse(text) as Shape);
}

/** Null: nothing is to be kept any more. */
export function keep(key: string, what: unknown): void {
  if (what === null) sessionStorage.removeItem(key);
  else sessionStorage.setItem(key, JSON.stringify(what));
}
