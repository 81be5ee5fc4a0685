/** Numbers and times as people read them, in the reader's language and zone. */

const KIB = 1024;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(value: number, language: string): string {
  const step = value < KIB ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log(value) / Math.log(KIB)));
  const scaled = value / KIB ** step;
  return `${scaled.toLocaleString(language, { maximumFractionDigits: scaled < 10 && step > 0 ? 1 : 0 })} ${UNITS[step]}`;
}

export function percent(value: number, language: string): string {
  return `${value.toLocaleString(language, { maximumFractionDigits: value < 10 ? 1 : 0 })} %`;
}

/** How long something has lasted: its two largest units at most. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [
    Math.floor(whole / 86400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min` : `${whole} s`;
}

export function clock(time: string, language: string): string {
  return new Date(time).toLocaleString(language, { dateStyle: "medium", timeStyle: "medium" });
}
