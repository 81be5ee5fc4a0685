/** Times of a chart, as short as its span allows, in the reader's language and zone. */

const HOUR = 3600;
const DAY = 24 * HOUR;
const made = new Map<string, Intl.DateTimeFormat>();

/** For a place on the axis, of which there is one every `step` seconds. At midnight it is the day. */
export function tick(at: number, step: number, language: string): string {
  const time = new Date(at * 1000);
  if (step >= 28 * DAY) return written(language, { month: "short", year: "numeric" }, time);
  if (step >= DAY || (time.getHours() === 0 && time.getMinutes() === 0 && time.getSeconds() === 0)) {
    return written(language, { day: "numeric", month: "short" }, time);
  }
  return written(language, { timeStyle: step < 60 ? "medium" : "short" }, time);
}

export function day(at: number, language: string): string {
  return written(language, { weekday: "long", day: "numeric", month: "long", year: "numeric" }, new Date(at * 1000));
}

export function timeOfDay(at: number, language: string): string {
  return written(language, { timeStyle: "medium" }, new Date(at * 1000));
}

/** For one moment of a span of so many seconds. */
export function moment(at: number, span: number, language: string): string {
  const time = new Date(at * 1000);
  if (span <= HOUR) return written(language, { timeStyle: "medium" }, time);
  const day = span > 300 * DAY ? ({ dateStyle: "medium" } as const) : ({ day: "numeric", month: "short" } as const);
  const hours = { hour: "2-digit", minute: "2-digit" } as const;
  return span > 300 * DAY
    ? `${written(language, day, time)}, ${written(language, hours, time)}`
    : written(language, { weekday: "short", ...day, ...hours }, time);
}

/** Formats are dear to make, and cheap to use. */
function written(language: string, options: Intl.DateTimeFormatOptions, time: Date): string {
  const place = navigator.languages.find((each) => each.startsWith(language)) ?? language;
  const key = place + JSON.stringify(options);
  let format = made.get(key);
  if (format === undefined) made.set(key, (format = new Intl.DateTimeFormat(place, options)));
  return format.format(time);
}
