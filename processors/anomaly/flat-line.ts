/**
 * Flat line: the sensor is stuck. Alarms while the readings of an unbroken run all lie within `tolerance` of each
 * other and the run has at least `readings` of them over at least `forMs`.
 *
 * Source: IOOS QARTOD manual for in-situ temperature and salinity (v2.0, 2020), Test 8, flat line (its REP_CNT_FAIL is
 * 5 and EPS the tolerance). The duration is ours: a count alone means different things at different rates.
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

const NAME = "flat-line";

const params = z.strictObject({
  /** Largest spread (max - min) of a run that is still flat, in the metric's unit. */
  tolerance: z.number().nonnegative().default(0),
  /** Readings a run needs before it is a flat line. */
  readings: z.int().min(2).default(5),
  /** Milliseconds a run needs to last, first to last reading. */
  forMs: z.number().nonnegative().default(0),
});
export type FlatLineParams = z.infer<typeof params>;

class FlatLineDetector implements Detector {
  private readonly verdict: Verdict = { score: 0 };
  private sinceTs = 0;
  private count = 0;
  private min = 0;
  private max = 0;

  constructor(private readonly p: FlatLineParams) {}

  step(ts: number, value: number): Verdict {
    const { p, verdict } = this;
    verdict.score = 0;
    if (!Number.isFinite(value)) return verdict;
    this.extend(ts, value);
    const byCount = this.count / p.readings;
    const byTime = p.forMs > 0 ? (ts - this.sinceTs) / p.forMs : Number.POSITIVE_INFINITY;
    if (this.count > 1) verdict.score = scoreOfRatio(Math.min(byCount, byTime));
    return verdict;
  }

  /** Adds the reading to the run, or starts a new run with it when it does not fit. */
  private extend(ts: number, value: number): void {
    const min = Math.min(this.min, value);
    const max = Math.max(this.max, value);
    if (this.count > 0 && max - min <= this.p.tolerance) {
      this.count++;
      this.min = min;
      this.max = max;
      return;
    }
    this.sinceTs = ts;
    this.count = 1;
    this.min = this.max = value;
  }

  save(): DetectorSnapshot {
    return { kind: NAME, numbers: Float64Array.of(this.sinceTs, this.count, this.min, this.max) };
  }

  restore(snapshot: DetectorSnapshot): this {
    const numbers = numbersOf(snapshot, NAME, 4);
    this.sinceTs = numbers[0]!;
    this.count = numbers[1]!;
    this.min = numbers[2]!;
    this.max = numbers[3]!;
    return this;
  }
}

export const flatLine: DetectorKind<FlatLineParams> = {
  name: NAME,
  params,
  create: (p) => new FlatLineDetector(p),
  load: (p, snapshot) => new FlatLineDetector(p).restore(snapshot),
};
