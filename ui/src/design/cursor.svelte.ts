/** The moment that somebody looks at, in seconds since 1970, in all charts that share it; null for none. */
export class Cursor {
  at = $state<number | null>(null);
  /** The chart that the pointer is over, by its id. */
  over = $state<string | null>(null);
}
