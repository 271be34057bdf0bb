/**
 * Value novelty: the default, learned detector. It remembers which values a series takes (a small set of
 * prototypes) and alarms at a value farther from everything remembered than the series' own spread allows. Two
 * streams are watched: the reading itself, and the reading minus its hour-of-week mean.
 *
 * Guarantees: strictly online, state of at most 6 KiB, scores unchanged when the series is scaled and
 * shifted, no alarm in the first `warmupReadings`, and a new level stops alarming as soon as it is learned.
 *
 * Sources: novelty against stored prototypes with a vigilance radius as in fuzzy adaptive resonance (Carpenter,
 * Grossberg, Rosen 1991; applied to series by Hampton's ARTime); rarely seen quantised values as in Contextual Anomaly Detector
 * OSE (Smirnov 2016); the falling limit is the "many readings, few surprises" correction of a running extreme
 * (record values; Arnold, Balakrishnan, Nagaraja 1998).
 */
import { z } from "zod";
import {
  type Detector,
  type DetectorKind,
  type DetectorSnapshot,
  numbersOf,
  scoreOfRatio,
  type Verdict,
} from "./detector.js";
import { PrototypeList } from "./prototypes.js";
import { WeekProfile } from "./week-profile.js";

const NAME = "novelty";

const params = z.strictObject({
  /** Prototypes kept per stream. */
  prototypes: z.int().min(2).max(256).default(128),
  /** Vigilance radius of the values, in deviations: nearer to a prototype is not new. */
  valueRadius: z.number().positive().default(0.3),
  /** The same for the residual against the hour-of-week mean. */
  residualRadius: z.number().positive().default(1.3),
  /** How much higher the limit is at the first reading; it decays with 1 / readings. */
  youthBoost: z.number().nonnegative().default(100),
  /** How much higher the limit is right after an alarm, and over how many readings that fades. */
  alarmBoost: z.number().nonnegative().default(3),
  alarmFadeReadings: z.number().min(1).default(100),
  /** Readings over which mean and deviation are weighted. */
  memoryReadings: z.number().min(2).default(4000),
  warmupReadings: z.int().nonnegative().default(50),
});
export type NoveltyParams = z.infer<typeof params>;

/** Values beyond this are treated as this: squares stay finite. */
const HUGE = 1e150;

/** One watched stream: its prototypes, mean and deviation. */
class Stream {
  readonly prototypes: PrototypeList;
  mean = 0;
  variance = 0;
  /** Nearest prototype and the radius around it, as of the last `observe`. */
  nearest = 0;
  radius = 0;

  constructor(capacity: number) {
    this.prototypes = new PrototypeList(capacity);
  }

  /** Distance of `x` from everything seen, in radii, measured before learning x. `floor` bounds the deviation below. */
  observe(x: number, radiusDeviations: number, floor: number, now: number, gain: number): number {
    const first = this.prototypes.isEmpty;
    const nearest = this.prototypes.nearest(x);
    this.nearest = first ? x : nearest;
    this.radius = radiusDeviations * Math.max(Math.sqrt(this.variance), floor);
    const distance = Math.abs(x - this.nearest);
    const ratio = distance === 0 ? 0 : distance / this.radius;
    if (first || ratio > 1) this.prototypes.insert(x, now);
    else this.prototypes.touch(now);
    const error = x - this.mean;
    this.mean += gain * error;
    this.variance = (1 - gain) * (this.variance + gain * error * error);
    return ratio;
  }
}

class NoveltyDetector implements Detector {
  private readonly values: Stream;
  private readonly residuals: Stream;
  private readonly week = new WeekProfile();
  private readonly verdict: Verdict = { score: 0 };
  private readings = 0;
  private boost = 0;
  private last = 0;
  /** Smallest step between successive readings: the sensor's resolution, as far as seen. 0 = none yet. */
  private resolution = 0;

  constructor(private readonly p: NoveltyParams) {
    this.values = new Stream(p.prototypes);
    this.residuals = new Stream(p.prototypes);
  }

  step(ts: number, value: number): Verdict {
    const { p, verdict } = this;
    verdict.score = 0;
    verdict.expected = verdict.lower = verdict.upper = undefined;
    if (!Number.isFinite(value)) return verdict;
    const x = Math.max(-HUGE, Math.min(HUGE, value));
    const expected = this.week.expected(ts, x);
    const now = this.readings++;
    const gain = Math.max(1 / (now + 1), 1 / p.memoryReadings);
    const limit = 1 + p.youthBoost / (now + 1) + this.boost;
    this.learnResolution(x, now);
    const byValue = this.values.observe(x, p.valueRadius, this.resolution, now, gain);
    const byResidual = this.residuals.observe(x - expected, p.residualRadius, this.resolution, now, gain);
    this.week.learn(ts, x);
    this.boost *= 1 - 1 / p.alarmFadeReadings;
    if (now < p.warmupReadings) return verdict;
    const ratio = Math.max(byValue, byResidual) / limit;
    verdict.score = scoreOfRatio(ratio);
    const stream = byValue > byResidual ? this.values : this.residuals;
    const centre = stream.nearest + (stream === this.values ? 0 : expected);
    verdict.expected = expected;
    verdict.lower = centre - stream.radius * limit;
    verdict.upper = centre + stream.radius * limit;
    if (ratio >= 1) this.boost = p.alarmBoost;
    return verdict;
  }

  private learnResolution(x: number, now: number): void {
    const step = Math.abs(x - this.last);
    if (now > 0 && step > 0 && (this.resolution === 0 || step < this.resolution)) this.resolution = step;
    this.last = x;
  }

  save(): DetectorSnapshot {
    const { values, residuals } = this;
    return {
      kind: NAME,
      numbers: Float64Array.of(
        this.readings,
        this.boost,
        this.last,
        this.resolution,
        values.mean,
        values.variance,
        residuals.mean,
        residuals.variance,
      ),
      values: values.prototypes.save(),
      residuals: residuals.prototypes.save(),
      week: this.week.save(),
    };
  }

  restore(snapshot: DetectorSnapshot): this {
    const [readings, boost, last, resolution, ...moments] = numbersOf(snapshot, NAME, 8) as unknown as [
      number,
      number,
      number,
      number,
      ...number[],
    ];
    Object.assign(this, { readings, boost, last, resolution });
    [this.values.mean, this.values.variance, this.residuals.mean, this.residuals.variance] = moments as [
      number,
      number,
      number,
      number,
    ];
    this.values.prototypes.load(snapshot.values as Float64Array);
    this.residuals.prototypes.load(snapshot.residuals as Float64Array);
    this.week.load(snapshot.week as Float64Array);
    return this;
  }
}

export const novelty: DetectorKind<NoveltyParams> = {
  name: NAME,
  params,
  create: (p) => new NoveltyDetector(p),
  load: (p, snapshot) => new NoveltyDetector(p).restore(snapshot),
};
