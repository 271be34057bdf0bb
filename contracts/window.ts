/**
 * Tumbling windows: half-open intervals [start, start + size) of event time, aligned to the epoch.
 */

/** A rollup resolution: its public name and its window size. */
export interface Resolution {
  /** `10s`, `1m`, `1h`, `1d`: also the suffix of the measurement (`telemetry_10s`). */
  name: string;
  sizeMs: number;
}

const DAY_MS = 86_400_000;
const UNIT_MS = new Map<string, number>([
  ["ms", 1],
  ...aliases(1_000, "s", "second", "seconds"),
  ...aliases(60_000, "m", "minute", "minutes"),
  ...aliases(3_600_000, "h", "hour", "hours"),
  ...aliases(DAY_MS, "d", "day", "days"),
  ...aliases(7 * DAY_MS, "w", "week", "weeks"),
  // As retention means them.
  ...aliases(30 * DAY_MS, "month", "months"),
  ...aliases(365 * DAY_MS, "year", "years"),
]);

function aliases(ms: number, ...names: string[]): [string, number][] {
  return names.map((name) => [name, ms]);
}

/**
 * Parses `10s`, `500ms`, `2d`, `2w`, `2 weeks`, `2 months`, `1 year` to milliseconds.
 * @returns undefined when the text is not a duration.
 */
export function parseDurationMs(text: string): number | undefined {
  const [, amount, unit] = /^(\d+(?:\.\d+)?) *([a-z]+)$/.exec(text.trim()) ?? [];
  const unitMs = unit === undefined ? undefined : UNIT_MS.get(unit);
  if (amount === undefined || unitMs === undefined) return undefined;
  const ms = Math.round(Number(amount) * unitMs);
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/** The resolutions of the default configuration, finest first. Each divides the next. */
export const DEFAULT_RESOLUTIONS: readonly Resolution[] = ["10s", "1m", "1h", "1d"].map((name) => ({
  name,
  sizeMs: parseDurationMs(name)!,
}));

/** Start of the window of `sizeMs` that holds `ts`. */
export function windowStart(ts: number, sizeMs: number): number {
  return Math.floor(ts / sizeMs) * sizeMs;
}
