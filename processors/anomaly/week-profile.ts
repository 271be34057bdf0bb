/**
 * Hour-of-week baseline of one series in event time (UTC): 168 exponentially weighted means, and a running
 * mean that stands in for an hour seen fewer than `YOUNG_READINGS` times. One table carries both the daily and
 * the weekly pattern. O(1) per reading.
 */
const HOUR_MS = 3_600_000;
const HOURS_PER_WEEK = 168;
const YOUNG_READINGS = 3;
/** Weight of a new reading in its hour's mean, once the hour has enough of them. */
const HOUR_GAIN = 0.1;
/** Weight of a new reading in the stand-in mean. */
const RECENT_GAIN = 0.02;

export class WeekProfile {
  private readonly means = new Float64Array(HOURS_PER_WEEK);
  private readonly counts = new Float64Array(HOURS_PER_WEEK);
  private recent = Number.NaN;

  private static hourOf(ts: number): number {
    const hour = Math.floor(ts / HOUR_MS) % HOURS_PER_WEEK;
    return hour < 0 ? hour + HOURS_PER_WEEK : hour;
  }

  /** What the readings so far lead to expect at `ts`; `value` itself before the first reading. */
  expected(ts: number, value: number): number {
    const hour = WeekProfile.hourOf(ts);
    if (this.counts[hour]! >= YOUNG_READINGS) return this.means[hour]!;
    return Number.isNaN(this.recent) ? value : this.recent;
  }

  learn(ts: number, value: number): void {
    const hour = WeekProfile.hourOf(ts);
    const seen = this.counts[hour]! + 1;
    this.counts[hour] = Math.min(seen, 1 / HOUR_GAIN);
    this.means[hour] = this.means[hour]! + Math.max(1 / seen, HOUR_GAIN) * (value - this.means[hour]!);
    this.recent = Number.isNaN(this.recent) ? value : this.recent + RECENT_GAIN * (value - this.recent);
  }

  save(): Float64Array {
    const out = new Float64Array(2 * HOURS_PER_WEEK + 1);
    out.set(this.means);
    out.set(this.counts, HOURS_PER_WEEK);
    out[2 * HOURS_PER_WEEK] = this.recent;
    return out;
  }

  /** @throws RangeError on a table of another size. */
  load(saved: Float64Array): void {
    if (saved.length !== 2 * HOURS_PER_WEEK + 1)
      throw new RangeError(`week profile of ${saved.length} numbers`);
    this.means.set(saved.subarray(0, HOURS_PER_WEEK));
    this.counts.set(saved.subarray(HOURS_PER_WEEK, 2 * HOURS_PER_WEEK));
    this.recent = saved[2 * HOURS_PER_WEEK]!;
  }
}
