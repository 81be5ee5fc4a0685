/** What a chart shows, and the sums that go with it. */

export interface Line {
  label: string;
  values: (number | null)[];
  /** The most within each step, where `values` are averages. */
  most?: (number | null)[];
  /** A token. */
  colour: string;
  isDashed?: boolean;
}

/** Something that happened, on the time axis. */
export interface Mark {
  /** Seconds since 1970. */
  at: number;
  label: string;
  sign: string;
  colour: string;
}

export interface Plot {
  key: string;
  label: string;
  lines: Line[];
  show: (value: number) => string;
  /** Of what the axis is counted in. */
  base: 10 | 1024;
  /** The axis goes up to this at least. */
  least: number;
  /** What cannot be passed, drawn as a line with its name. */
  limit: { label: string; value: number } | null;
}

export interface Sums {
  least: number | null;
  average: number | null;
  most: number | null;
}

const STEPS = { 10: [1, 2, 4, 6, 8, 10], 1024: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] } as const;
const LIMIT_SHOWN_FROM = 1 / 4;

/** Where the axis ends: a round number, so that it moves seldom. A limit far above all that was measured would press that flat. */
export function top({ lines, limit, least, base }: Plot): number {
  const peak = Math.max(least, ...lines.map(({ most, values }) => peakOf(most ?? values) ?? 0));
  const wanted = limit !== null && peak >= limit.value * LIMIT_SHOWN_FROM ? Math.max(peak, limit.value * 1.02) : peak;
  const unit = base ** Math.floor(Math.log(wanted) / Math.log(base) + 1e-9);
  return (STEPS[base].find((step) => step * unit >= wanted) ?? base) * unit;
}

/** What was measured last, unless that is long ago; the last step may have only begun. */
export function newest(values: (number | null)[]): number | null {
  return values.at(-1) ?? values.at(-2) ?? null;
}

export function sums({ values, most }: Line): Sums {
  const known = values.filter((value) => value !== null);
  return {
    least: known.reduce<number | null>((least, value) => (least === null || value < least ? value : least), null),
    average: known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null,
    most: peakOf(most ?? values),
  };
}

/** The place of the value that is nearest to a time; the times go up. */
export function nearest(times: number[], at: number): number {
  let [low, high] = [0, times.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) < at) low = middle + 1;
    else high = middle;
  }
  return low > 0 && at - (times[low - 1] ?? 0) < (times[low] ?? 0) - at ? low - 1 : low;
}

/** The places of values that have none beside them: no line goes through those. */
export function lonely(values: ArrayLike<number | null | undefined>): number[] {
  return Array.from(values).flatMap((value, at) =>
    value != null && values[at - 1] == null && values[at + 1] == null ? [at] : [],
  );
}

function peakOf(values: (number | null)[]): number | null {
  return values.reduce((peak, value) => (value !== null && (peak === null || value > peak) ? value : peak), null);
}
