/** Stretches of time, in seconds since 1970. */

export interface Span {
  from: number;
  to: number;
}

const DAY = 24 * 3600;
export const RANGES = { hour: 3600, day: DAY, week: 7 * DAY, month: 30 * DAY, year: 365 * DAY } as const;
export type Range = keyof typeof RANGES;
export const SHORTEST_S = 60;

/** The last so many seconds. */
export function latest(range: Range, now: number): Span {
  return { from: now - RANGES[range], to: now };
}

/** As long as `share` of it, around a moment that stays where it is; not past now, and never shorter than can be measured. */
export function zoomed({ from, to }: Span, share: number, around: number, now: number): Span {
  const length = Math.min(RANGES.year, Math.max(SHORTEST_S, (to - from) * share));
  const begins = around - ((around - from) / (to - from)) * length;
  return within({ from: begins, to: begins + length }, now);
}

/** Earlier or later, by a share of its length. */
export function moved({ from, to }: Span, share: number, now: number): Span {
  const by = (to - from) * share;
  return within({ from: from + by, to: to + by }, now);
}

/** As it was chosen with the pointer. */
export function chosen(from: number, to: number, now: number): Span {
  const middle = (from + to) / 2;
  return to - from >= SHORTEST_S
    ? within({ from, to }, now)
    : within({ from: middle - SHORTEST_S / 2, to: middle + SHORTEST_S / 2 }, now);
}

function within({ from, to }: Span, now: number): Span {
  const over = Math.max(0, to - now);
  return { from: Math.max(from - over, now - RANGES.year), to: to - over };
}
