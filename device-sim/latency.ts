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
export function ackLatency(ledger: Ledger, since: "sent" | "due"): Latency {
  const samples = new Float64Array(ledger.size);
  let count = 0;
  for (let n = 0; n < ledger.size; n++) {
    const acked = ledger.ackedMs(n);
    if (acked !== undefined)
      samples[count++] = acked - (since === "sent" ? ledger.sentMs(n) : ledger.dueMs(n));
  }
  return summarise(samples.subarray(0, count));
}

/** Sorts `samples` in place. Percentiles are nearest rank: the smallest sample that at least that part is not above. */
export function summarise(samples: Float64Array): Latency {
  const count = samples.length;
  if (count === 0) return { count, mean: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 };
  samples.sort();
  const rank = (part: number) => samples[Math.max(0, Math.ceil(part * count) - 1)]!;
  const mean = samples.reduce((sum, sample) => sum + sample, 0) / count;
  return {
    count,
    mean,
    p50: rank(0.5),
    p90: rank(0.9),
    p99: rank(0.99),
    p999: rank(0.999),
    max: samples[count - 1]!,
  };
}
