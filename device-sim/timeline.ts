/**
 * The course of a run, from its ledger: what was due, sent and acked, and how long acks took, in equal stretches of
 * time. At most {@link MAX_BINS} of them, so a chart stays readable however long the run was.
 */
import { summarise } from "./latency.js";
import type { Ledger } from "./ledger.js";

/** One stretch of the run: [startMs, startMs + sizeMs), since the start of the run. Rates are messages per second. */
export interface Bin {
  startMs: number;
  sizeMs: number;
  duePerS: number;
  sentPerS: number;
  ackedPerS: number;
  /** Of the messages acked in the stretch, milliseconds from when they were due; undefined when there were none. */
  p50?: number;
  p99?: number;
}

export const MAX_BINS = 120;
const MIN_BIN_MS = 1_000;

export function timeline(ledger: Ledger): Bin[] {
  const endMs = lastMs(ledger);
  const count = Math.max(1, Math.min(MAX_BINS, Math.floor(endMs / MIN_BIN_MS)));
  const sizeMs = Math.max(1, endMs / count);
  const bin = (ms: number) => Math.min(count - 1, Math.floor(ms / sizeMs));
  const due = new Float64Array(count);
  const sent = new Float64Array(count);
  const latencies: number[][] = Array.from({ length: count }, () => []);
  for (let n = 0; n < ledger.size; n++) {
    due[bin(ledger.dueMs(n))]!++;
    sent[bin(ledger.sentMs(n))]!++;
    const acked = ledger.ackedMs(n);
    if (acked !== undefined) latencies[bin(acked)]!.push(acked - ledger.dueMs(n));
  }
  const perS = (messages: number) => (messages * 1_000) / sizeMs;
  return latencies.map((samples, i) => {
    const { p50, p99 } = summarise(Float64Array.from(samples));
    return {
      ...{ startMs: i * sizeMs, sizeMs, duePerS: perS(due[i]!), sentPerS: perS(sent[i]!) },
      ackedPerS: perS(samples.length),
      ...(samples.length > 0 && { p50, p99 }),
    };
  });
}

function lastMs(ledger: Ledger): number {
  let last = 0;
  for (let n = 0; n < ledger.size; n++) {
    last = Math.max(last, ledger.sentMs(n), ledger.dueMs(n), ledger.ackedMs(n) ?? 0);
  }
  return last;
}
