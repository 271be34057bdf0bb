/**
 * The contract every anomaly detector keeps, and the one meaning of its score.
 *
 * A detector is a pure, strictly online operator over one series: what `step` returns is a function of the
 * readings so far and of nothing else (no clock, no randomness, no later reading), takes O(1) time, and the
 * state is bounded (16 KiB a series). `load(params, save())` continues bit for bit, so a restored or
 * replayed task scores exactly as the first run did.
 */
import type { z } from "zod";

/** A reading whose score is at least this is an alarm. The same for every detector and every series. */
export const ALARM_SCORE = 0.5;

/**
 * What a detector says of one reading. `score` is 0..1; `lower..upper` is the band in which this reading would
 * not have raised an alarm (in the reading's own unit), `expected` the baseline; each is undefined where the
 * detector has no such notion yet. The object is reused by the next `step`: copy what must outlive it.
 */
export interface Verdict {
  score: number;
  expected?: number | undefined;
  lower?: number | undefined;
  upper?: number | undefined;
}

type SnapshotValue =
  | number
  | string
  | boolean
  | number[]
  | Float64Array
  | Float32Array
  | Uint32Array
  | Uint8Array;

/** Structured plain data, safe for msgpackr with structured clone. Owned by the caller: shares nothing with the detector. */
export type DetectorSnapshot = { [field: string]: SnapshotValue };

export interface Detector {
  /** @param ts epoch milliseconds, non-decreasing. @param value finite reading; others score 0 and teach nothing. */
  step(ts: number, value: number): Verdict;
  save(): DetectorSnapshot;
}

export interface DetectorKind<P> {
  name: string;
  /** Schema with defaults: `params.parse({})` is a usable configuration unless the kind needs a bound from the user. */
  params: z.ZodType<P>;
  create(params: P): Detector;
  /** Continues from a snapshot taken with the same params. Throws RangeError on a snapshot of another kind or layout. */
  load(params: P, snapshot: DetectorSnapshot): Detector;
}

/**
 * Maps "how many times the allowed amount" (0 = none, 1 = exactly the limit) to a score: ratio / (1 + ratio),
 * so the limit itself lands on ALARM_SCORE. An infinite ratio is 1; NaN never comes out.
 */
export function scoreOfRatio(ratio: number): number {
  if (!(ratio > 0)) return 0;
  return ratio === Number.POSITIVE_INFINITY ? 1 : ratio / (1 + ratio);
}

/** The snapshot's packed numbers, after checking that kind and layout are the ones expected. */
export function numbersOf(snapshot: DetectorSnapshot, kind: string, length: number): Float64Array {
  const { kind: got, numbers } = snapshot;
  if (got !== kind || !(numbers instanceof Float64Array) || numbers.length !== length) {
    throw new RangeError(`not a ${kind} snapshot of ${length} numbers: kind ${String(got)}`);
  }
  return numbers;
}
