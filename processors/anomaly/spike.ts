/**
 * Spike: one reading stands out from both its neighbours. Its height is |v(n-1) - (v(n-2) + v(n)) / 2|, so the
 * verdict comes with the reading after the spike; a step to a new level has half the height of a spike and a
 * steady slope none.
 *
 * Source: IOOS QARTOD manual for in-situ temperature and salinity (v2.0, 2020), Test 6, spike. The manual leaves
 * the threshold to the operator: it is `height` where given, and otherwise `deviations` times the root mean square
 * of the series' own heights.
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

const NAME = "spike";
/** Heights learned before they are judged by. */
const MIN_READINGS = 30;

const params = z.strictObject({
  /** Smallest height that is a spike, in the metric's unit. Absent: `deviations` applies. */
  height: z.number().positive().optional(),
  /** Smallest height that is a spike, in root-mean-square heights. */
  deviations: z.number().positive().default(8),
  /** Readings over which the root mean square is weighted. */
  memoryReadings: z.int().min(MIN_READINGS).default(1000),
});
export type SpikeParams = z.infer<typeof params>;

class SpikeDetector implements Detector {
  private readonly verdict: Verdict = { score: 0 };
  private beforeLast = 0;
  private last = 0;
  private readings = 0;
  /** Weighted mean of squared heights. */
  private meanSquare = 0;

  constructor(private readonly p: SpikeParams) {}

  step(_ts: number, value: number): Verdict {
    this.verdict.score = 0;
    if (!Number.isFinite(value)) return this.verdict;
    const x = bounded(value);
    if (++this.readings > 2) {
      const height = Math.abs(this.last - (this.beforeLast + x) / 2);
      const limit = this.limit();
      if (limit > 0) this.verdict.score = scoreOfRatio(height / limit);
      this.learn(height);
    }
    this.beforeLast = this.last;
    this.last = x;
    return this.verdict;
  }

  /** The height that is a spike, or 0 while unknown. */
  private limit(): number {
    if (this.p.height !== undefined) return this.p.height;
    return this.readings < MIN_READINGS ? 0 : this.p.deviations * Math.sqrt(this.meanSquare);
  }

  /** A spike is one of three heights: learning at most the limit keeps it from hiding the next one. */
  private learn(height: number): void {
    const limit = this.limit();
    const learned = limit > 0 ? Math.min(height, limit) : height;
    const gain = Math.max(1 / (this.readings - 2), 1 / this.p.memoryReadings);
    this.meanSquare += gain * (learned * learned - this.meanSquare);
  }

  save(): DetectorSnapshot {
    return {
      kind: NAME,
      numbers: Float64Array.of(this.beforeLast, this.last, this.readings, this.meanSquare),
    };
  }

  restore(snapshot: DetectorSnapshot): this {
    const numbers = numbersOf(snapshot, NAME, 4);
    this.beforeLast = numbers[0]!;
    this.last = numbers[1]!;
    this.readings = numbers[2]!;
    this.meanSquare = numbers[3]!;
    return this;
  }
}

export const spike: DetectorKind<SpikeParams> = {
  name: NAME,
  params,
  create: (p) => new SpikeDetector(p),
  load: (p, snapshot) => new SpikeDetector(p).restore(snapshot),
};
