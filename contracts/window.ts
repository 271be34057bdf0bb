/**
 * Tumbling windows: half-open intervals [start, start + size) of event time, aligned to the epoch.
 */

/** A rollup resolution: its public name and its window size. */
export interface Resolution {
  /** `10s`, `1m`, `1h`, `1d`: also the suffix of the measurement (`telemetry_10s`). */
  name: string;
  sizeMs: number;
}

const UNIT_MS: Record<string, number> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/**
 * Parses `10s`, `500ms`, `2d`, `2w` to milliseconds.
 * @returns undefined when the text is not a duration.
 */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/.exec(text.trim());
  if (!match) return undefined;
  const ms = Number(match[1]) * UNIT_MS[match[2]!]!;
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
