/**
 * Novelty: the default, learned detector, for any series and without configuration. It alarms at the onset of
 * something the series has not shown before. Three signals are watched, each as "how many times the allowed amount":
 *
 * - value: distance of the reading from the nearest of the values remembered (a small set of prototypes);
 * - level: the same for the exponentially weighted mean of the last `spanReadings`;
 * - activity: how far the weighted mean of the residuals' size is above its own long-run mean, in deviations.
 *   Residuals are taken against a daily and weekly baseline (baseline.ts), so this one sees seasonality.
 *
 * The largest of the three is held against one limit, which starts high, falls as 1 / readings, rises for a while
 * after an alarm, and carries a small lasting rise per alarm that fades at `alarmsPerThousand`.
 *
 * Guarantees: strictly online; state under 6 KB; scaling and shifting the series changes no score beyond rounding; no
 * alarm in the first `warmupReadings` nor within `holdReadings` after an alarm (an alarm is an onset, not a state).
 *
 * Sources: vigilance radius around prototypes: fuzzy adaptive resonance (Carpenter, Grossberg, Rosen 1991; applied to
 * series in Hampton's ARTime); rarely seen values: Contextual Anomaly Detector OSE (Smirnov 2016); short mean against a
 * long history: the anomaly likelihood of Ahmad, Lavin, Purdy, Agha (Neurocomputing 2017); a limit steered by the alarms it
 * lets through: adaptive conformal inference (Gibbs, Candes 2021).
 */
import { z } from "zod";
import { Baseline } from "./baseline.js";
import {
  type Detector,
  type DetectorKind,
  type DetectorSnapshot,
  numbersOf,
  scoreOfRatio,
  type Verdict,
} from "./detector.js";
import { bounded, Moments } from "./moments.js";
import { PrototypeList } from "./prototypes.js";

const NAME = "novelty";

const params = z.strictObject({
  /** Prototypes kept for values and for levels, each. */
  prototypes: z.int().min(2).max(256).default(64),
  /** Distance from a prototype within which a value is not new, in deviations of the series. */
  radius: z.number().positive().default(0.28),
  /** Growth of the radius with the value's own distance from the mean: a heavy tail has sparse, far values. */
  tailSlack: z.number().nonnegative().default(0.05),
  /** Readings over which level and activity are averaged (exponentially). */
  spanReadings: z.number().min(1).default(35),
  /** Activity above its long-run mean that is an alarm, in deviations. */
  activityDeviations: z.number().positive().default(3.4),
  /** Readings over which means and deviations are weighted. */
  memoryReadings: z.int().min(2).default(3000),
  /** How much higher the limit is at the first reading; this part falls as 1 / readings. */
  youthBoost: z.number().nonnegative().default(100),
  /** How much higher the limit is right after an alarm, and over how many readings that fades. */
  alarmBoost: z.number().nonnegative().default(3),
  alarmFadeReadings: z.number().min(1).default(100),
  /** Lasting rise of the limit with each alarm (its logarithm), and the alarms per 1000 readings that keep it level. */
  alarmWeight: z.number().nonnegative().default(0.08),
  alarmsPerThousand: z.number().positive().default(2),
  warmupReadings: z.int().nonnegative().default(50),
  holdReadings: z.int().nonnegative().default(20),
});
export type NoveltyParams = z.infer<typeof params>;

/** Score of a reading that would be an alarm, had there not been one `holdReadings` ago or less. */
const HELD_SCORE = 0.49;
/** Least radius in steps of the resolution: more than one, which is never new, and off the edge, where rounding would decide. */
const FLOOR_STEPS = 1.5;
/** The lasting rise goes no further than this: a series of nothing but surprises still alarms at a four times greater one. */
const MAX_RISE = Math.log(4);
const NUMBERS = 17;

/** A signal judged by its distance from what it has been before. */
class NoveltySignal {
  readonly prototypes: PrototypeList;
  readonly moments: Moments;
  /** Nearest prototype and the radius around it, as of the last `observe`. */
  nearest = 0;
  radius = 0;

  constructor(private readonly p: NoveltyParams) {
    this.prototypes = new PrototypeList(p.prototypes);
    this.moments = new Moments(p.memoryReadings);
  }

  /** Distance of `x` from everything seen, in radii; then learns x. One step of the sensor's `resolution` is never new. */
  observe(x: number, resolution: number, now: number): number {
    const { p, prototypes, moments } = this;
    const first = prototypes.isEmpty;
    const nearest = prototypes.nearest(x);
    this.nearest = first ? x : nearest;
    const spread = moments.deviation + p.tailSlack * Math.abs(x - moments.mean);
    this.radius = Math.max(p.radius * spread, FLOOR_STEPS * resolution);
    const distance = Math.abs(x - this.nearest);
    if (first || distance > this.radius) prototypes.insert(x, now);
    else prototypes.touch(now);
    moments.learn(x);
    return distance === 0 ? 0 : distance / this.radius;
  }
}

class NoveltyDetector implements Detector {
  private readonly baseline = new Baseline();
  private readonly values: NoveltySignal;
  private readonly levels: NoveltySignal;
  private readonly activities: Moments;
  private readonly verdict: Verdict = { score: 0, expected: undefined, lower: undefined, upper: undefined };
  private readonly gain: number;
  private readings = 0;
  private last = 0;
  private level = 0;
  private activity = 0;
  /** Smallest step between successive readings so far: the sensor's resolution. 0 while there was none. */
  private resolution = 0;
  private boost = 0;
  private rise = 0;
  private lastAlarm = Number.NEGATIVE_INFINITY;
  /** Of the signal that finds the reading the most unusual: its ratio, and the band of the reading it would let pass. */
  private ratio = 0;
  private centre = 0;
  private reach = 0;

  constructor(private readonly p: NoveltyParams) {
    this.values = new NoveltySignal(p);
    this.levels = new NoveltySignal(p);
    this.activities = new Moments(p.memoryReadings);
    this.gain = 2 / (p.spanReadings + 1);
  }

  step(ts: number, value: number): Verdict {
    const { p, verdict } = this;
    verdict.score = 0;
    verdict.expected = verdict.lower = verdict.upper = undefined;
    if (!Number.isFinite(value)) return verdict;
    const x = bounded(value);
    const now = this.readings++;
    const limit = (1 + p.youthBoost / (now + 1) + this.boost) * Math.exp(this.rise);
    this.relaxLimit(now);
    const expected = this.baseline.expectThenLearn(ts, x);
    this.observe(x, expected, limit, now);
    this.learnResolution(x, now);
    if (now < p.warmupReadings) return verdict;
    verdict.expected = expected;
    this.judge(this.ratio / limit, now);
    return verdict;
  }

  /** Learns x in all three signals, and keeps ratio and band of the one that finds it the most unusual. */
  private observe(x: number, expected: number, limit: number, now: number): void {
    const { values, levels, activities, gain, resolution } = this;
    const level = now === 0 ? x : this.level;
    this.level = level + gain * (x - level);
    const byLevel = levels.observe(this.level, resolution, now);
    // A band of the level, or of the activity, is one of the reading: the mean moves by `gain` of the reading's distance.
    this.ratio = byLevel;
    this.centre = level + (levels.nearest - level) / gain;
    this.reach = (levels.radius * limit) / gain;

    const byValue = values.observe(x, resolution, now);
    if (byValue >= this.ratio) {
      this.ratio = byValue;
      this.centre = values.nearest;
      this.reach = values.radius * limit;
    }

    const unit = this.p.activityDeviations * Math.max(activities.deviation, resolution / this.p.spanReadings);
    const usual = activities.mean;
    const activity = this.activity;
    this.activity = activity + gain * (Math.abs(x - expected) - activity);
    activities.learn(this.activity);
    const byActivity = unit > 0 ? (this.activity - usual) / unit : 0;
    if (byActivity > this.ratio) {
      this.ratio = byActivity;
      this.centre = expected;
      this.reach = Math.max(0, activity + (usual + unit * limit - activity) / gain);
    }
  }

  private judge(ratio: number, now: number): void {
    const { p, verdict } = this;
    if (ratio >= 1 && now - this.lastAlarm < p.holdReadings) {
      verdict.score = HELD_SCORE;
      return;
    }
    verdict.score = scoreOfRatio(ratio);
    verdict.lower = this.centre - this.reach;
    verdict.upper = this.centre + this.reach;
    if (ratio < 1) return;
    this.lastAlarm = now;
    this.boost = p.alarmBoost;
    this.rise = Math.min(MAX_RISE, this.rise + p.alarmWeight);
  }

  private relaxLimit(now: number): void {
    const { p } = this;
    this.boost *= 1 - 1 / p.alarmFadeReadings;
    if (now >= p.warmupReadings)
      this.rise = Math.max(0, this.rise - (p.alarmWeight * p.alarmsPerThousand) / 1000);
  }

  private learnResolution(x: number, now: number): void {
    const step = Math.abs(x - this.last);
    if (now > 0 && step > 0 && (this.resolution === 0 || step < this.resolution)) this.resolution = step;
    this.last = x;
  }

  save(): DetectorSnapshot {
    const { values, levels, activities } = this;
    const moments = [values.moments, levels.moments, activities].flatMap((m) => [
      m.mean,
      m.variance,
      m.count,
    ]);
    const { readings, last, level, activity, resolution, boost, rise, lastAlarm } = this;
    return {
      kind: NAME,
      numbers: Float64Array.of(
        readings,
        last,
        level,
        activity,
        resolution,
        boost,
        rise,
        lastAlarm,
        ...moments,
      ),
      values: values.prototypes.save(),
      levels: levels.prototypes.save(),
      baseline: this.baseline.save(),
    };
  }

  restore(snapshot: DetectorSnapshot): this {
    const numbers = numbersOf(snapshot, NAME, NUMBERS);
    const [readings, last, level, activity, resolution, boost, rise, lastAlarm] = numbers;
    Object.assign(this, { readings, last, level, activity, resolution, boost, rise, lastAlarm });
    [this.values.moments, this.levels.moments, this.activities].forEach((moments, i) => {
      const at = 8 + 3 * i;
      moments.restore(numbers[at]!, numbers[at + 1]!, numbers[at + 2]!);
    });
    this.values.prototypes.load(tableOf(snapshot, "values"));
    this.levels.prototypes.load(tableOf(snapshot, "levels"));
    this.baseline.load(tableOf(snapshot, "baseline"));
    return this;
  }
}

function tableOf(snapshot: DetectorSnapshot, field: string): Float64Array {
  const table = snapshot[field];
  if (!(table instanceof Float64Array)) throw new RangeError(`${NAME} snapshot without ${field}`);
  return table;
}

export const novelty: DetectorKind<NoveltyParams> = {
  name: NAME,
  params,
  create: (p) => new NoveltyDetector(p),
  load: (p, snapshot) => new NoveltyDetector(p).restore(snapshot),
};
