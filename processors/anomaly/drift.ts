/**
 * Drift: the mean has moved and stayed moved, by less than any single reading would show. A two-sided CUSUM of
 * readings standardised by a baseline learned from the first `baselineReadings` and then frozen.
 *
 * After `baselineReadings` of alarm the new level is taken for the new normal: the baseline is learned afresh.
 *
 * Sources: Page, "Continuous inspection schemes" (Biometrika 1954); tabular CUSUM with allowance k and decision
 * interval h as in Montgomery, Introduction to Statistical Quality Control, chapter 9. k = 0.5 looks for shifts of one
 * deviation; Siegmund's approximation gives some 70,000 independent readings between false alarms at h = 10. Each standardised reading is
 * cut at +-4 (winsorised), so that one wild reading is not a drift.
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

const NAME = "drift";
const CUT_DEVIATIONS = 4;

const params = z.strictObject({
  /** Readings the baseline is learned from. */
  baselineReadings: z.int().min(10).default(200),
  /** k: the part of each deviation that is let pass, in deviations. */
  allowanceDeviations: z.number().nonnegative().default(0.5),
  /** h: the sum that is an alarm, in deviations. */
  decisionDeviations: z.number().positive().default(10),
});
export type DriftParams = z.infer<typeof params>;

class DriftDetector implements Detector {
  private readonly verdict: Verdict = { score: 0, expected: undefined };
  private readonly baseline: Moments;
  private up = 0;
  private down = 0;
  private alarmReadings = 0;

  constructor(private readonly p: DriftParams) {
    this.baseline = new Moments(p.baselineReadings);
  }

  step(_ts: number, value: number): Verdict {
    const { p, verdict, baseline } = this;
    verdict.score = 0;
    verdict.expected = undefined;
    if (!Number.isFinite(value)) return verdict;
    const x = bounded(value);
    if (baseline.count < p.baselineReadings) {
      baseline.learn(x);
      return verdict;
    }
    const z = this.standardised(x);
    this.up = Math.max(0, this.up + z - p.allowanceDeviations);
    this.down = Math.max(0, this.down - z - p.allowanceDeviations);
    const ratio = Math.max(this.up, this.down) / p.decisionDeviations;
    verdict.score = scoreOfRatio(ratio);
    verdict.expected = baseline.mean;
    this.alarmReadings = ratio >= 1 ? this.alarmReadings + 1 : 0;
    if (this.alarmReadings === p.baselineReadings) this.startOver();
    return verdict;
  }

  /** Against a constant baseline every other value is as far off as can be. */
  private standardised(x: number): number {
    const error = x - this.baseline.mean;
    if (error === 0) return 0;
    return Math.max(-CUT_DEVIATIONS, Math.min(CUT_DEVIATIONS, error / this.baseline.deviation));
  }

  private startOver(): void {
    this.baseline.restart();
    this.up = this.down = this.alarmReadings = 0;
  }

  save(): DetectorSnapshot {
    const { baseline, up, down, alarmReadings } = this;
    return {
      kind: NAME,
      numbers: Float64Array.of(baseline.mean, baseline.variance, baseline.count, up, down, alarmReadings),
    };
  }

  restore(snapshot: DetectorSnapshot): this {
    const numbers = numbersOf(snapshot, NAME, 6);
    this.baseline.restore(numbers[0]!, numbers[1]!, numbers[2]!);
    this.up = numbers[3]!;
    this.down = numbers[4]!;
    this.alarmReadings = numbers[5]!;
    return this;
  }
}

export const drift: DetectorKind<DriftParams> = {
  name: NAME,
  params,
  create: (p) => new DriftDetector(p),
  load: (p, snapshot) => new DriftDetector(p).restore(snapshot),
};
