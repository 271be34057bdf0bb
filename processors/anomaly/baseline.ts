/**
 * What a series is expected to read at a given time: the best of three baselines, each kept as exponentially
 * weighted means in event time (UTC). Recent level, hour of day (24 means) and hour of week (168 means) compete, and
 * the one with the smallest recent error speaks; so a daily or weekly pattern is used when the data shows one.
 * O(1) per reading, about 1.8 KiB.
 *
 * Source: seasonal means as in simple exponential smoothing with seasonal indices (Holt 1957, Winters 1960), chosen
 * by discounted absolute error.
 */
const HOUR_MS = 3_600_000;
const HOURS_PER_DAY = 24;
const HOURS_PER_WEEK = 168;
/** An hour seen fewer times than this leaves the word to the next coarser baseline. */
const YOUNG_READINGS = 3;
/** Least weight of a new reading in the mean of its hour of the week. */
const WEEK_GAIN = 0.1;
/** The same for its hour of the day, which is seen seven times as often. */
const DAY_GAIN = 0.05;
/** Weight of a new reading in the recent level. */
const RECENT_GAIN = 0.02;
/** Least weight of a new error in a baseline's mean error. */
const ERROR_GAIN = 0.002;

/** One mean per hour of a cycle. */
class HourlyMeans {
  readonly means: Float64Array;
  readonly counts: Float64Array;

  constructor(
    private readonly hours: number,
    private readonly gain: number,
  ) {
    this.means = new Float64Array(hours);
    this.counts = new Float64Array(hours);
  }

  slotOf(hour: number): number {
    const slot = hour % this.hours;
    return slot < 0 ? slot + this.hours : slot;
  }

  learn(slot: number, value: number): void {
    const count = this.counts[slot]! + 1;
    this.counts[slot] = Math.min(count, 1 / this.gain);
    this.means[slot] = this.means[slot]! + Math.max(1 / count, this.gain) * (value - this.means[slot]!);
  }
}

export class Baseline {
  private readonly day = new HourlyMeans(HOURS_PER_DAY, DAY_GAIN);
  private readonly week = new HourlyMeans(HOURS_PER_WEEK, WEEK_GAIN);
  private recent = 0;
  private readings = 0;
  private recentError = 0;
  private dayError = 0;
  private weekError = 0;

  /** The expectation for `ts` from the readings before; then learns `value`. The first reading is its own expectation. */
  expectThenLearn(ts: number, value: number): number {
    const hour = Math.floor(ts / HOUR_MS);
    const daySlot = this.day.slotOf(hour);
    const weekSlot = this.week.slotOf(hour);
    if (this.readings === 0) this.recent = value;
    const byRecent = this.recent;
    const byDay = this.day.counts[daySlot]! < YOUNG_READINGS ? byRecent : this.day.means[daySlot]!;
    const byWeek = this.week.counts[weekSlot]! < YOUNG_READINGS ? byDay : this.week.means[weekSlot]!;
    const expected = this.best(byRecent, byDay, byWeek);
    const gain = Math.max(1 / ++this.readings, ERROR_GAIN);
    this.recentError += gain * (Math.abs(value - byRecent) - this.recentError);
    this.dayError += gain * (Math.abs(value - byDay) - this.dayError);
    this.weekError += gain * (Math.abs(value - byWeek) - this.weekError);
    this.recent += RECENT_GAIN * (value - this.recent);
    this.day.learn(daySlot, value);
    this.week.learn(weekSlot, value);
    return expected;
  }

  /** Ties go to the longer cycle. */
  private best(byRecent: number, byDay: number, byWeek: number): number {
    if (this.weekError <= this.dayError && this.weekError <= this.recentError) return byWeek;
    return this.dayError <= this.recentError ? byDay : byRecent;
  }

  save(): Float64Array {
    const { day, week, recent, readings, recentError, dayError, weekError } = this;
    return Float64Array.of(
      ...[recent, readings, recentError, dayError, weekError],
      ...[...day.means, ...day.counts, ...week.means, ...week.counts],
    );
  }

  /** @throws RangeError on a table of another size. */
  load(saved: Float64Array): void {
    const tables = [this.day.means, this.day.counts, this.week.means, this.week.counts];
    const scalars = 5;
    const length = scalars + tables.reduce((sum, table) => sum + table.length, 0);
    if (saved.length !== length) throw new RangeError(`baseline of ${saved.length} numbers, not ${length}`);
    this.recent = saved[0]!;
    this.readings = saved[1]!;
    this.recentError = saved[2]!;
    this.dayError = saved[3]!;
    this.weekError = saved[4]!;
    let at = scalars;
    for (const table of tables) {
      table.set(saved.subarray(at, at + table.length));
      at += table.length;
    }
  }
}
