/**
 * Quantile bound: the reading lies far outside the central range the series itself has shown. The bounds are the
 * `low` and `high` quantiles, widened by `margin` times the distance between them.
 *
 * Two generations of estimators follow the series: each learns for `windowReadings`, then judges for as many while
 * its successor learns. So a bound rests on one to two windows of readings, and a new regime is normal after at most two.
 *
 * Sources: quantiles by the P-square algorithm (p2.ts); the margin is Tukey's fence (Exploratory Data Analysis, 1977)
 * with adjustable quantiles: low 0.25, high 0.75, margin 1.5 is the classic one.
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
import { bounded } from "./moments.js";
import { P2_NUMBERS, P2Quantile } from "./p2.js";

const NAME = "quantile";

const params = z
  .strictObject({
    low: z.number().gt(0).lt(1).default(0.01),
    high: z.number().gt(0).lt(1).default(0.99),
    /** How far outside the quantiles the alarm begins, in distances between them. */
    margin: z.number().nonnegative().default(0.5),
    /** Readings a generation learns from before it judges. */
    windowReadings: z.int().min(20).default(2000),
    /** Readings before the very first verdict, while the first generation is still learning. */
    warmupReadings: z.int().min(5).default(200),
  })
  .refine((p) => p.low < p.high, { error: "low must be under high", path: ["low"] });
export type QuantileParams = z.infer<typeof params>;

class Generation {
  readonly low: P2Quantile;
  readonly high: P2Quantile;

  constructor(p: QuantileParams) {
    this.low = new P2Quantile(p.low);
    this.high = new P2Quantile(p.high);
  }

  learn(x: number): void {
    this.low.learn(x);
    this.high.learn(x);
  }

  restart(): void {
    this.low.restart();
    this.high.restart();
  }
}

class QuantileDetector implements Detector {
  private readonly verdict: Verdict = { score: 0, expected: undefined, lower: undefined, upper: undefined };
  private judge: Generation;
  private successor: Generation;

  constructor(private readonly p: QuantileParams) {
    this.judge = new Generation(p);
    this.successor = new Generation(p);
  }

  step(_ts: number, value: number): Verdict {
    const { p, verdict } = this;
    verdict.score = 0;
    verdict.lower = verdict.upper = undefined;
    if (!Number.isFinite(value)) return verdict;
    const x = bounded(value);
    if (this.judge.low.count >= p.warmupReadings) this.compare(x);
    this.learn(x);
    return verdict;
  }

  private compare(x: number): void {
    const low = this.judge.low.value;
    const high = Math.max(low, this.judge.high.value);
    const reach = this.p.margin * (high - low);
    this.verdict.lower = low - reach;
    this.verdict.upper = high + reach;
    const centre = (low + high) / 2;
    const half = (high - low) / 2 + reach;
    const off = Math.abs(x - centre);
    this.verdict.score = off === 0 ? 0 : scoreOfRatio(off / half);
  }

  private learn(x: number): void {
    this.judge.learn(x);
    if (this.judge.low.count > this.p.windowReadings) this.successor.learn(x);
    if (this.successor.low.count < this.p.windowReadings) return;
    const spent = this.judge;
    this.judge = this.successor;
    this.successor = spent;
    spent.restart();
  }

  private get estimators(): P2Quantile[] {
    return [this.judge.low, this.judge.high, this.successor.low, this.successor.high];
  }

  save(): DetectorSnapshot {
    const numbers = new Float64Array(4 * P2_NUMBERS);
    this.estimators.forEach((estimator, i) => {
      estimator.saveTo(numbers, i * P2_NUMBERS);
    });
    return { kind: NAME, numbers };
  }

  restore(snapshot: DetectorSnapshot): this {
    const numbers = numbersOf(snapshot, NAME, 4 * P2_NUMBERS);
    this.estimators.forEach((estimator, i) => {
      estimator.restoreFrom(numbers, i * P2_NUMBERS);
    });
    return this;
  }
}

export const quantile: DetectorKind<QuantileParams> = {
  name: NAME,
  params,
  create: (p) => new QuantileDetector(p),
  load: (p, snapshot) => new QuantileDetector(p).restore(snapshot),
};
