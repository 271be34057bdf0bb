/**
 * The aggregate of one series over one interval: what a rollup is made of, in a form that can be joined.
 *
 * Guarantee: joining the aggregates of consecutive intervals in time order gives one result, bit for bit, however
 * the readings arrived. Join in time order only: floating-point addition is not associative.
 */
import type { Rollup } from "../../contracts/rollup.js";
import { mergeSketches, quantilesOf, type Sketch, sketchOf } from "./sketch.js";

export interface Aggregate {
  count: number;
  min: number;
  max: number;
  sum: number;
  first: number;
  last: number;
  sketch: Sketch;
}

/** Aggregates values that are given in event-time order. At least one. */
export function aggregateOf(values: Float64Array): Aggregate {
  let sum = 0;
  for (const value of values) sum += value;
  const sorted = values.slice().sort();
  return {
    count: values.length,
    min: sorted[0]!,
    max: sorted[sorted.length - 1]!,
    sum: finite(sum),
    first: values[0]!,
    last: values[values.length - 1]!,
    sketch: sketchOf(sorted),
  };
}

/** `later` must cover an interval after that of `earlier`. */
export function joinAggregates(earlier: Aggregate, later: Aggregate): Aggregate {
  return {
    count: earlier.count + later.count,
    min: Math.min(earlier.min, later.min),
    max: Math.max(earlier.max, later.max),
    sum: finite(earlier.sum + later.sum),
    first: earlier.first,
    last: later.last,
    sketch: mergeSketches(earlier.sketch, later.sketch),
  };
}

/** A sum past the largest double is held there, so that every field of a rollup stays a finite number. */
function finite(sum: number): number {
  return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, sum));
}

const PERCENTILES = [0.5, 0.95, 0.99] as const;

/** The rollup row of an aggregate. */
export function rollupOf(
  aggregate: Aggregate,
  series: { device: string; metric: string; resolution: string; start: number },
): Rollup {
  const { count, min, max, sum, first, last, sketch } = aggregate;
  const [p50, p95, p99] = quantilesOf(sketch, PERCENTILES, min, max) as [number, number, number];
  const { device, metric, resolution, start } = series;
  const mean = sum / count;
  return {
    device,
    metric,
    resolution,
    start,
    count,
    min,
    max,
    sum,
    mean,
    first,
    last,
    p50,
    p95,
    p99,
    revision: count,
  };
}
