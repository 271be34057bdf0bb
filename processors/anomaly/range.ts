/**
 * Gross range: the reading is outside fixed bounds. Stateless; the score is 1 outside and 0 inside.
 *
 * Source: IOOS QARTOD manual for real-time quality control of in-situ temperature and salinity data (v2.0, 2020),
 * Test 4, gross range. A reading on a bound is inside.
 *
 * Separate clear levels (hysteresis) belong to whoever keeps the alert's state: `isRaised` and `isCleared` are
 * the two questions it asks. Between the two levels neither is true, and an alert stays as it is.
 */
import { z } from "zod";
import {
  type Detector,
  type DetectorKind,
  type DetectorSnapshot,
  numbersOf,
  type Verdict,
} from "./detector.js";

const NAME = "range";

const params = z
  .strictObject({
    /** Alarm above this value, in the metric's unit. */
    above: z.number().optional(),
    /** Alarm below this value. */
    below: z.number().optional(),
    /** Clear only at or under this value; `above` when absent. */
    clearAbove: z.number().optional(),
    /** Clear only at or over this value; `below` when absent. */
    clearBelow: z.number().optional(),
  })
  .refine((p) => p.above !== undefined || p.below !== undefined, { error: "needs above, below or both" })
  .refine((p) => p.above === undefined || p.below === undefined || p.below <= p.above, {
    error: "below must not exceed above",
    path: ["below"],
  })
  .refine((p) => p.clearAbove === undefined || (p.above !== undefined && p.clearAbove <= p.above), {
    error: "clearAbove needs above and must not exceed it",
    path: ["clearAbove"],
  })
  .refine((p) => p.clearBelow === undefined || (p.below !== undefined && p.clearBelow >= p.below), {
    error: "clearBelow needs below and must not be under it",
    path: ["clearBelow"],
  })
  .refine(
    (p) =>
      levelOr(p.clearBelow, p.below, Number.NEGATIVE_INFINITY) <=
      levelOr(p.clearAbove, p.above, Number.POSITIVE_INFINITY),
    {
      error: "clearBelow must not exceed clearAbove: nothing would ever clear",
      path: ["clearBelow"],
    },
  );
export type RangeParams = z.infer<typeof params>;

function levelOr(first: number | undefined, second: number | undefined, otherwise: number): number {
  return first ?? second ?? otherwise;
}

/** Is the value beyond a raise level? */
export function isRaised(p: RangeParams, value: number): boolean {
  return (p.above !== undefined && value > p.above) || (p.below !== undefined && value < p.below);
}

/** Is the value back within the clear levels (the raise levels where no clear level is given)? */
export function isCleared(p: RangeParams, value: number): boolean {
  return (
    value <= levelOr(p.clearAbove, p.above, Number.POSITIVE_INFINITY) &&
    value >= levelOr(p.clearBelow, p.below, Number.NEGATIVE_INFINITY)
  );
}

class RangeDetector implements Detector {
  private readonly verdict: Verdict;

  constructor(private readonly p: RangeParams) {
    this.verdict = { score: 0, expected: undefined, lower: p.below, upper: p.above };
  }

  step(_ts: number, value: number): Verdict {
    this.verdict.score = Number.isFinite(value) && isRaised(this.p, value) ? 1 : 0;
    return this.verdict;
  }

  save(): DetectorSnapshot {
    return { kind: NAME, numbers: new Float64Array(0) };
  }
}

export const range: DetectorKind<RangeParams> = {
  name: NAME,
  params,
  create: (p) => new RangeDetector(p),
  load: (p, snapshot) => {
    numbersOf(snapshot, NAME, 0);
    return new RangeDetector(p);
  },
};
