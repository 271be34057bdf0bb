/**
 * Rate of change: the step since the previous reading is too large, either per second against a fixed limit,
 * or (without one) against a number of standard deviations of the recent readings.
 *
 * Source: IOOS QARTOD manual for in-situ temperature and salinity (v2.0, 2020), Test 7, rate of change: |T(n) -
 * T(n-1)| > N_DEV * SD, with the example N_DEV = 3 over 25 hours. Counter resets as in Prometheus' `rate()`: a drop is a
 * restart from zero.
 *
 * Readings that share a timestamp with their predecessor have no rate and score 0 under a fixed limit.
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
import { bounded, Moments } from "./moments.js";

const NAME = "rate-of-change";
const MS_PER_SECOND = 1000;
/** Deviations estimated from fewer readings than this are not judged by. */
const MIN_READINGS = 30;

const params = z.strictObject({
  /** Largest change per second that is in order, in the metric's unit. Absent: `deviations` applies. */
  perSecond: z.number().positive().optional(),
  /** Largest step that is in order, in deviations of the recent readings. */
  deviations: z.number().positive().default(3),
  /** Readings over which the deviation is weighted. */
  memoryReadings: z.int().min(MIN_READINGS).default(1500),
  /** The metric is a running count: a drop is a restart from zero (wrap or reboot), not a change downwards. */
  counter: z.boolean().default(false),
});
export type RateOfChangeParams = z.infer<typeof params>;

class RateOfChangeDetector implements Detector {
  private readonly verdict: Verdict = { score: 0, expected: undefined, lower: undefined, upper: undefined };
  private readonly moments: Moments;
  private lastTs = Number.NaN;
  private last = 0;

  constructor(private readonly p: RateOfChangeParams) {
    this.moments = new Moments(p.memoryReadings);
  }

  step(ts: number, value: number): Verdict {
    const { verdict } = this;
    verdict.score = 0;
    verdict.expected = verdict.lower = verdict.upper = undefined;
    if (!Number.isFinite(value)) return verdict;
    const x = bounded(value);
    const allowed = this.allowedStep(ts);
    const restarted = this.p.counter && x < this.last;
    if (allowed > 0) {
      const from = restarted ? 0 : this.last;
      verdict.score = scoreOfRatio(Math.abs(x - from) / allowed);
      verdict.expected = from;
      verdict.lower = from - allowed;
      verdict.upper = from + allowed;
    }
    this.moments.learn(x);
    this.lastTs = ts;
    this.last = x;
    return verdict;
  }

  /** The largest step in order for a reading at `ts`, or 0 when there is nothing to judge it by yet. */
  private allowedStep(ts: number): number {
    if (Number.isNaN(this.lastTs)) return 0;
    if (this.p.perSecond !== undefined)
      return (this.p.perSecond * Math.max(0, ts - this.lastTs)) / MS_PER_SECOND;
    return this.moments.count < MIN_READINGS ? 0 : this.p.deviations * this.moments.deviation;
  }

  save(): DetectorSnapshot {
    const { lastTs, last, moments } = this;
    return {
      kind: NAME,
      numbers: Float64Array.of(lastTs, last, moments.mean, moments.variance, moments.count),
    };
  }

  restore(snapshot: DetectorSnapshot): this {
    const numbers = numbersOf(snapshot, NAME, 5);
    this.lastTs = numbers[0]!;
    this.last = numbers[1]!;
    this.moments.restore(numbers[2]!, numbers[3]!, numbers[4]!);
    return this;
  }
}

export const rateOfChange: DetectorKind<RateOfChangeParams> = {
  name: NAME,
  params,
  create: (p) => new RateOfChangeDetector(p),
  load: (p, snapshot) => new RateOfChangeDetector(p).restore(snapshot),
};
