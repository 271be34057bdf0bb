/**
 * Rates of counters over the last seconds, from samples of absolute counts.
 */
import type { ApiStats } from "../../../api/schemas.js";

export interface Sample {
  /** When the counters were read, epoch milliseconds of the gateway. */
  now: number;
  counters: Record<string, number>;
}

/** Five minutes at one sample a second. */
const KEPT_SAMPLES = 300;
const RATE_OVER_MS = 5_000;
/** Over less, one tick of the gateway more or less shows. */
const SHORTEST_MS = 900;

export function sampleOf(stats: ApiStats): Sample {
  const counters: Record<string, number> = {};
  for (const [name, value] of Object.entries(stats)) if (typeof value === "number") counters[name] = value;
  return { now: counters.now ?? Date.now(), counters };
}

/** Adds a sample. Counters that fell mean a restart: what came before says nothing of the rate now. */
export function withSample(samples: readonly Sample[], sample: Sample): Sample[] {
  const last = samples[samples.length - 1];
  if (!last) return [sample];
  if (sample.now <= last.now) return [...samples];
  const restarted = (sample.counters.received ?? 0) < (last.counters.received ?? 0);
  return restarted ? [sample] : [...samples.slice(1 - KEPT_SAMPLES), sample];
}

/** Events per second of `counter` at the sample `at` (the latest by default); undefined with too few samples. */
export function rateOf(
  samples: readonly Sample[],
  counter: string,
  at = samples.length - 1,
): number | undefined {
  const end = samples[at];
  if (!end) return undefined;
  let from = at;
  while (from > 0 && end.now - samples[from - 1]!.now <= RATE_OVER_MS) from--;
  const start = samples[from]!;
  const rise = (end.counters[counter] ?? Number.NaN) - (start.counters[counter] ?? Number.NaN);
  if (end.now - start.now < SHORTEST_MS || Number.isNaN(rise)) return undefined;
  return Math.max(0, rise) / ((end.now - start.now) / 1_000);
}
