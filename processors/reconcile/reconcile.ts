/**
 * Is the store what the log says? Recompute a range, compare, and on request write the corrections.
 *
 * Live processing may go on meanwhile: the store is then a little behind the log or ahead of what was read of it. So
 * rows that differ are looked at again, over the log as it is by then, until they agree or their time is up. A row that
 * live processing changed between two looks, and that is not final, is `unsettled` and no difference.
 */
import type { Clock } from "../../contracts/ports/clock.js";
import type { Log } from "../../contracts/ports/log.js";
import type { Store } from "../../contracts/ports/store.js";
import type { Logger } from "../../runtime/logger.js";
import type { OperatorOptions } from "../engine/device-operator.js";
import { SILENCE_GRACE_MS } from "../engine/processor.js";
import { compare, type Difference } from "./compare.js";
import { type Recomputed, recompute } from "./recompute.js";
import { rangesFor } from "./replay-range.js";

export interface ReconcileOptions {
  log: Log;
  store: Store;
  clock: Clock;
  logger: Logger;
  operator: OperatorOptions;
  /** Window starts in [fromMs, toMs). */
  fromMs: number;
  toMs: number;
  maxClockSkewMs: number;
  /** How long rows that differ are given to settle while live processing goes on. */
  settleMs: number;
  repair: boolean;
  onProgress?: (step: string, done: number, total: number) => void;
  signal?: AbortSignal;
}

export interface ReconcileReport {
  /** Records read, and what live processing makes of them. */
  records: number;
  late: number;
  /** Windows of the range that the log gives. */
  windows: number;
  /** Alerts are compared only while the log still holds everything the detectors learned from. */
  alertsCompared: boolean;
  /** Retention has removed records that windows at the start of the range may need. */
  truncated: boolean;
  differences: Difference[];
  /** Rows that changed between two looks: live processing is at work on them. */
  unsettled: number;
  repaired: number;
  /** Rows the store has and the log does not: they cannot be repaired by writing. */
  unexplained: number;
}

const LOOK_INTERVAL_MS = 1_000;

/** @throws SluiceError LOG_UNAVAILABLE, STORE_UNAVAILABLE, ABORTED */
export async function reconcile(options: ReconcileOptions): Promise<ReconcileReport> {
  const { clock, settleMs, signal } = options;
  const deadlineMs = clock.monotonicMs() + settleMs;
  let look = await lookOnce(options);
  let unsettled = new Set<string>();
  while (look.differences.length > 0 && clock.monotonicMs() < deadlineMs) {
    await clock.sleep(LOOK_INTERVAL_MS, signal);
    const next = await lookOnce(options);
    unsettled = changedKeys(look, next);
    const persistent = next.differences.every(({ key }) => !unsettled.has(key) && seenBefore(look, key));
    look = next;
    if (persistent) break;
  }
  const differences = look.differences.filter(({ key }) => !unsettled.has(key));
  const repair = options.repair
    ? await repairRows(options, look.expected, differences)
    : { repaired: 0, unexplained: 0 };
  return {
    records: look.expected.counters.processed,
    late: look.expected.counters.late,
    windows: look.expected.rollups.size,
    alertsCompared: look.alertsCompared,
    truncated: look.truncated,
    differences,
    unsettled: new Set(look.differences.filter(({ key }) => unsettled.has(key)).map(({ key }) => key)).size,
    ...repair,
  };
}

interface Look {
  expected: Recomputed;
  differences: Difference[];
  alertsCompared: boolean;
  truncated: boolean;
}

async function lookOnce(options: ReconcileOptions): Promise<Look> {
  const { log, store, operator, fromMs, toMs, maxClockSkewMs, onProgress } = options;
  const whole = (await log.ranges("telemetry.readings")).every(({ earliest }) => earliest === 0);
  const retained = await rangesFor(log, whole ? 0 : fromMs, operator, maxClockSkewMs);
  const expected = await recompute({
    ...{ ...options, ranges: retained.ranges, nowMs: options.clock.now() - SILENCE_GRACE_MS },
    onProgress: (done, total) => onProgress?.("reading the log", done, total),
  });
  const differences = await compare(expected, {
    ...{ store, resolutions: operator.resolutions, fromMs, toMs, compareAlerts: whole },
    onProgress: (done, total) => onProgress?.("comparing series", done, total),
  });
  return { expected, differences, alertsCompared: whole, truncated: retained.truncated };
}

function seenBefore(look: Look, key: string): boolean {
  return look.differences.some((difference) => difference.key === key);
}

/** Rows that the log gave another value for at the second look. */
function changedKeys(before: Look, after: Look): Set<string> {
  const changed = new Set<string>();
  for (const { key } of after.differences) {
    if (before.expected.rollups.get(key)?.revision !== after.expected.rollups.get(key)?.revision)
      changed.add(key);
    if (before.expected.alerts.get(key)?.updatedAt !== after.expected.alerts.get(key)?.updatedAt)
      changed.add(key);
  }
  return changed;
}

async function repairRows(
  { store }: ReconcileOptions,
  expected: Recomputed,
  differences: readonly Difference[],
): Promise<{ repaired: number; unexplained: number }> {
  const keys = new Set(differences.map(({ key }) => key));
  const rollups = [...keys].flatMap((key) => expected.rollups.get(key) ?? []);
  const alerts = [...keys].flatMap((key) => expected.alerts.get(key) ?? []);
  const rejected = await store.write({ rollups, alerts, devices: [] });
  const repaired = rollups.length + alerts.length - rejected.length;
  return { repaired, unexplained: keys.size - rollups.length - alerts.length };
}
