/**
 * A rollup: the summary of one series (device, metric) in one window.
 *
 * Identity is (device, metric, resolution, start). Values are absolute, so writing a rollup twice is writing it
 * once (INV-5); a higher `revision` replaces a lower one.
 */
export interface Rollup {
  device: string;
  metric: string;
  /** Name of the resolution: `10s`, `1m`, `1h`, `1d`. */
  resolution: string;
  /** Window start, epoch milliseconds. */
  start: number;
  count: number;
  min: number;
  max: number;
  /** Added up in event-time order, so that arrival order never shows in the last bit (INV-4). */
  sum: number;
  mean: number;
  first: number;
  last: number;
  p50: number;
  p95: number;
  p99: number;
  /**
   * Version of this window: the number of distinct readings folded in so far. Every reading that changes the
   * window raises it by one, in live processing, replay and repair alike, so it depends on the log alone.
   */
  revision: number;
}

/** The numeric fields of a rollup, in the order of the docs and of line protocol. */
export const ROLLUP_FIELDS = [
  "count",
  "min",
  "max",
  "sum",
  "mean",
  "first",
  "last",
  "p50",
  "p95",
  "p99",
  "revision",
] as const;

/** Identity of a rollup as one string. `/` is in no legal name. */
export function rollupKey(rollup: Pick<Rollup, "device" | "metric" | "resolution" | "start">): string {
  return `${rollup.device}/${rollup.metric}/${rollup.resolution}/${rollup.start}`;
}
