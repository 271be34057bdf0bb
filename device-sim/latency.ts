/**
 * Exact percentiles of the latencies of a run, from the ledger.
 */
import type { Ledger } from "./ledger.js";

/** Milliseconds; all 0 when `count` is 0. */
export interface Latency {
  count: number;
  mean: number;
  p50: number;
  p90: number;
  p99: number;
  p999: number;
  max: number;
}

/**
 * From `since` to the first ack, over all acked messages.
 * `sent`: the first publish. `due`: when the schedule asked for it, so a gateway that holds the fleet up shows.
 */
export function ackLatency(ledger: Ledger, since: Since): Latency {
  return summarise(ackSamples(ledger, since));
}

/** The same at any parts (0..1) of the acked messages; undefined when there are none. */
export function latencyAt(ledger: Ledger, since: Since, parts: readonly number[]): (number | undefined)[] {
  const samples = ackSamples(ledger, since).sort();
  return parts.map((part) => (samples.length === 0 ? undefined : rank(samples, part)));
}

type Since = "sent" | "due";

function ackSamples(ledger: Ledger, since: Since): Float64Array {
  const samples = new Float64Array(ledger.size);
  let count = 0;
  for (let n = 0; n < ledger.size; n++) {
    const acked = ledger.ackedMs(n);
    if (acked !== undefined)
      samples[count++] = acked - (since === "sent" ? ledger.sentMs(n) : ledger.dueMs(n));
  }
  return samples.subarray(0, count);
}

/** Sorts `samples` in place. Percentiles are nearest rank: the smallest sample that at least that part is not above. */
export function summarise(samples: Float64Array): Latency {
  const count = samples.length;
  if (count === 0) return { count, mean: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 };
  samples.sort();
  const mean = samples.reduce((sum, sample) => sum + sample, 0) / count;
  return {
    count,
    mean,
    p50: rank(samples, 0.5),
    p90: rank(samples, 0.9),
    p99: rank(samples, 0.99),
    p999: rank(samples, 0.999),
    max: samples[count - 1]!,
  };
}

function rank(sorted: Float64Array, part: number): number {
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)]!;
}
