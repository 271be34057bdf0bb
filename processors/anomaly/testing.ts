/** What the detector tests share: feeding values, seeded noise. No production code imports it. */
import { ALARM_SCORE, type Detector } from "./detector.js";

export const START_MS = 1.7e12;

/** A seeded uniform generator over 0..1 (mulberry32). */
export function seededUniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A seeded approximately normal generator: mean 0, deviation 1 (sum of twelve uniforms). */
export function seededNormal(seed: number): () => number {
  const uniform = seededUniform(seed);
  return () => {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += uniform();
    return sum;
  };
}

/** The score of each value, fed `stepMs` apart. */
export function scores(
  detector: Detector,
  values: readonly number[],
  stepMs = 60_000,
  startMs = START_MS,
): number[] {
  return values.map((value, i) => detector.step(startMs + i * stepMs, value).score);
}

/** Indexes of the values that alarm. */
export function alarms(
  detector: Detector,
  values: readonly number[],
  stepMs = 60_000,
  startMs = START_MS,
): number[] {
  return scores(detector, values, stepMs, startMs).flatMap((score, i) => (score >= ALARM_SCORE ? [i] : []));
}
