/**
 * How soon a reading shows in the rollups, measured while a fleet runs: one reading after the other is picked as it is
 * sent, and its window asked for until it counts.
 */
import { hasCode } from "../contracts/errors.js";
import type { Clock } from "../contracts/ports/clock.js";
import type { Store } from "../contracts/ports/store.js";
import { type Resolution, windowStart } from "../contracts/window.js";
import { type Latency, summarise } from "./latency.js";
import type { Ledger } from "./ledger.js";

export interface FreshnessOptions {
  /** Of the running fleet. */
  ledger: Ledger;
  /** Milliseconds since the start of the run. */
  elapsedMs: () => number;
  store: Pick<Store, "rollups">;
  resolution: Resolution;
  clock: Clock;
  /** Ends the measurement. */
  signal: AbortSignal;
}

/** Also the resolution of what is measured. */
const POLL_MS = 50;
/** How far back the newest reading is looked for: malformed messages lie in between. */
const LOOK_BACK = 100;
/** Sequence numbers without a reading in a row, after which there are no more on that side. */
const MAX_GAP = 100;

/** Measures until the signal aborts. @returns from the publish to the first answer that counts the reading */
export async function measureFreshness(options: FreshnessOptions): Promise<Latency> {
  const { ledger, signal } = options;
  const samples: number[] = [];
  let latest = -1;
  while (!signal.aborted) {
    const n = newestReading(ledger);
    if (n === undefined || n === latest) {
      await pause(options);
      continue;
    }
    latest = n;
    const seenMs = await visibleAt(options, n);
    if (seenMs !== undefined) samples.push(seenMs - ledger.sentMs(n));
  }
  return summarise(Float64Array.from(samples));
}

function newestReading(ledger: Ledger): number | undefined {
  for (let n = ledger.size - 1; n >= Math.max(0, ledger.size - LOOK_BACK); n--) {
    if (!ledger.invalid(n)) return n;
  }
  return undefined;
}

/** When its window counts entry `n`; undefined when the measurement ended before. */
async function visibleAt(options: FreshnessOptions, n: number): Promise<number | undefined> {
  const { ledger, store, resolution, signal } = options;
  const metric = ledger.header.metrics.findIndex((_, i) => !Number.isNaN(ledger.value(n, i)));
  const from = windowStart(ledger.ts(n), resolution.sizeMs);
  const wanted = countUpTo(ledger, n, metric, { from, to: from + resolution.sizeMs });
  const query = {
    ...{ device: ledger.deviceId(ledger.device(n)), metric: ledger.header.metrics[metric]! },
    ...{ resolution: resolution.name, from, to: from + resolution.sizeMs },
  };
  while (!signal.aborted) {
    try {
      const [rollup] = await store.rollups(query);
      if (rollup && rollup.count >= wanted) return options.elapsedMs();
    } catch (error) {
      // Away for a moment: that is part of what is measured.
      if (!hasCode(error, "STORE_UNAVAILABLE")) throw error;
    }
    await pause(options);
  }
  return undefined;
}

/**
 * How many readings of the device its window holds once `n` and all that were sent before it are in: its neighbours by
 * sequence number on both sides, since a fault may have held `n` back behind later ones.
 */
function countUpTo(ledger: Ledger, n: number, metric: number, window: { from: number; to: number }): number {
  const device = ledger.device(n);
  const counts = (entry: number) => entry <= n && !Number.isNaN(ledger.value(entry, metric));
  let count = 1;
  for (const step of [-1, 1]) {
    const { seq: start } = ledger.reading(n);
    for (let seq = start + step, gap = 0; seq >= 0 && gap < MAX_GAP; seq += step) {
      const entry = ledger.find(device, seq);
      // Held back by a fault, not sent yet, or never made.
      if (entry === undefined) {
        gap++;
        continue;
      }
      gap = 0;
      if (ledger.ts(entry) < window.from || ledger.ts(entry) >= window.to) break;
      if (counts(entry)) count++;
    }
  }
  return count;
}

/** Ends early, without an error, when the signal aborts. */
async function pause({ clock, signal }: FreshnessOptions): Promise<void> {
  await clock.sleep(POLL_MS, signal).catch(() => undefined);
}
