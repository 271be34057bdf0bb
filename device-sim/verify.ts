/**
 * The verdict on a run: does what the log, the rollups and the counters say agree with the ledger?
 *
 * Acked means kept: a message with an ack that is nowhere is lost. A message without one may be there or not; when it
 * is there it counts once, like any other.
 */
import type { Clock } from "../contracts/ports/clock.js";
import type { Store } from "../contracts/ports/store.js";
import { DEFAULT_RESOLUTIONS, type Resolution } from "../contracts/window.js";
import type { Baseline, Stats, StatsSource } from "./baseline.js";
import { ackLatency, type Latency } from "./latency.js";
import type { Ledger } from "./ledger.js";
import { LABELS } from "./script.js";
import { type AlertSource, type DetectionVerdict, judgeAlerts } from "./verify-alerts.js";
import {
  type Finding,
  judgeLog,
  type LogOutcome,
  lateCopies,
  type ReadLog,
  type ReasonTally,
} from "./verify-log.js";
import { checkRollups, type RollupMismatch } from "./verify-rollups.js";

export interface VerifyOptions {
  ledger: Ledger;
  log: ReadLog;
  clock: Clock;
  /** Without it rollups are not checked. */
  store?: Pick<Store, "rollups">;
  /** Without it, or without counters in the baseline, counters are not checked. */
  stats?: StatsSource;
  /** With it, and with anomalies in the ledger, the detectors are judged: for information, not for the verdict. */
  alerts?: AlertSource;
  /** Where things stood before the run. Default: what the ledger says; else the topics are read from their start. */
  baseline?: Baseline;
  /** What was measured during the run, for the report. */
  freshness?: Latency;
  /** Which rollups to check. Default 10s. */
  resolution?: Resolution;
  /** Wait for rollups until they have not changed for so long. Default 30 s. */
  settleMs?: number;
  signal?: AbortSignal;
  /** What is being done, for a person; at most a few times a second. */
  onProgress?: (step: string) => void;
}

export interface StatsVerdict {
  checked: boolean;
  /** Why not, when not. */
  why?: string;
  /** What the counters rose by during the run. */
  delta?: Pick<Stats, "received" | "readings" | "invalid">;
  problems: string[];
}

/** Lists hold the first {@link MAX_LISTED} of each kind; the counts are complete. */
export interface VerifyReport {
  ok: boolean;
  /** Why not ok, a sentence each. */
  problems: string[];
  /** Distinct messages sent, and publishes with all re-sends. */
  sent: number;
  sends: number;
  acked: number;
  unacked: number;
  /** Unacked messages that are in the log all the same: neither lost nor wrong. */
  unackedPresent: number;
  /** Acked, and nowhere to be found. */
  lost: number;
  lostFirst: { device: string; entry: number; seq?: number; ts?: number; ackedMs: number }[];
  /** Readings in the log. */
  readings: number;
  /** More copies in the log than times sent. */
  duplicated: number;
  /** Copies in the log beyond the first that re-sends explain: rollups must not show them. */
  repeats: number;
  /** Malformed messages that must be there (acked), and those found there with the right reason. */
  invalidExpected: number;
  invalidSeen: number;
  byReason: LogOutcome["byReason"];
  wrongReason: number;
  /** Valid readings that became dead letters. */
  wrongEnd: number;
  altered: number;
  unknown: number;
  /** The first of the four above. */
  findings: Finding[];
  /** Readings sent behind a newer one of their device. */
  late: number;
  /** Those that came too late for the rollups, and records there that were not late at all. */
  lateTopic: number;
  lateUnexpected: number;
  rollups: { checked: boolean; resolution: string; windows: number; mismatches: number };
  rollupMismatches: RollupMismatch[];
  stats: StatsVerdict;
  /** How the injected anomalies were found; undefined when there were none, or nobody to ask. */
  detection?: DetectionVerdict;
  /** How many messages each fault was done to. */
  faults: Record<keyof typeof LABELS, number>;
  /** Milliseconds from the first publish, and from when the schedule asked for it, to the first ack. */
  latency: { publishToAck: Latency; dueToAck: Latency; publishToRollup?: Latency };
}

export const MAX_LISTED = 20;
const DEFAULT_SETTLE_MS = 30_000;

/**
 * Compares and reports; differences are in the report, not thrown.
 * @throws SluiceError LOG_UNAVAILABLE, LOG_OFFSET_OUT_OF_RANGE (retention took what was to be judged), ABORTED
 */
export async function verifyLedger(options: VerifyOptions): Promise<VerifyReport> {
  const { ledger, log, onProgress } = options;
  const baseline = options.baseline ?? ledger.header.baseline ?? { offsets: {} };
  onProgress?.("reading the log");
  const outcome = await judgeLog(log, ledger, baseline);
  const rollups = await verifyRollups(options, baseline, outcome);
  const late = await lateCopies(log, ledger, baseline);
  onProgress?.("comparing counters");
  const stats = await verifyStats(options, baseline, outcome);
  const detection =
    options.alerts && ledger.header.anomalies.length > 0
      ? await judgeAlerts(ledger, options.alerts)
      : undefined;
  const report: VerifyReport = {
    ok: false,
    problems: [],
    ...tally(ledger, outcome),
    ...lateness(ledger, late),
    ...rollups,
    stats,
    ...(detection && { detection }),
    faults: labelCounts(ledger),
    latency: {
      publishToAck: ackLatency(ledger, "sent"),
      dueToAck: ackLatency(ledger, "due"),
      ...(options.freshness && { publishToRollup: options.freshness }),
    },
  };
  report.problems = [...doubts(ledger, report), ...problemsOf(report)];
  report.ok = report.problems.length === 0;
  return report;
}

/** Counts every entry by what became of it. */
function tally(ledger: Ledger, outcome: LogOutcome) {
  const counts = { sent: ledger.size, sends: 0, acked: 0, unacked: 0, unackedPresent: 0, lost: 0 };
  const copies = { readings: 0, duplicated: 0, repeats: 0 };
  const lostFirst: VerifyReport["lostFirst"] = [];
  for (let n = 0; n < ledger.size; n++) {
    const found = outcome.copies[n]!;
    const sends = ledger.sends(n);
    const ackedMs = ledger.ackedMs(n);
    counts.sends += sends;
    if (ackedMs === undefined) {
      counts.unacked++;
      if (found > 0) counts.unackedPresent++;
    } else {
      counts.acked++;
      if (found === 0 && !outcome.misplaced.has(n)) {
        counts.lost++;
        if (lostFirst.length < MAX_LISTED) lostFirst.push(describe(ledger, n, ackedMs));
      }
    }
    if (found > 0 && !ledger.invalid(n)) copies.readings++;
    if (found > sends) copies.duplicated += found - sends;
    if (found > 1) copies.repeats += Math.min(found, sends) - 1;
  }
  const tallies = Object.values(outcome.byReason) as ReasonTally[];
  const { wrongReason, wrongEnd, altered, unknown } = outcome;
  const findings = [wrongReason, wrongEnd, altered, unknown].flatMap((list) => list.slice(0, MAX_LISTED));
  return {
    ...counts,
    lostFirst,
    ...copies,
    invalidExpected: tallies.reduce((sum, { acked }) => sum + acked, 0),
    invalidSeen: tallies.reduce((sum, { seen }) => sum + seen, 0),
    byReason: outcome.byReason,
    wrongReason: wrongReason.length,
    wrongEnd: wrongEnd.length,
    altered: altered.length,
    unknown: unknown.length,
    findings,
  };
}

function describe(ledger: Ledger, n: number, ackedMs: number): VerifyReport["lostFirst"][number] {
  const device = ledger.deviceId(ledger.device(n));
  if (ledger.invalid(n)) return { device, entry: n, ackedMs };
  const { seq, ts } = ledger.reading(n);
  return { device, entry: n, seq, ts, ackedMs };
}

/** How many readings were sent behind a newer one, and whether what counts as too late was behind at all. */
function lateness(ledger: Ledger, lateTopic: ReadonlyMap<number, number>) {
  const newest = new Float64Array(ledger.header.devices).fill(Number.NEGATIVE_INFINITY);
  let late = 0;
  let lateUnexpected = 0;
  for (let n = 0; n < ledger.size; n++) {
    if (ledger.invalid(n)) continue;
    const device = ledger.device(n);
    const behind = ledger.ts(n) < newest[device]!;
    if (behind) late++;
    else newest[device] = ledger.ts(n);
    // A re-send may arrive behind newer readings, so only what was sent once and in order has no excuse.
    if (!behind && lateTopic.has(n) && ledger.sends(n) === 1) lateUnexpected++;
  }
  return { late, lateTopic: lateTopic.size, lateUnexpected };
}

async function verifyRollups(options: VerifyOptions, baseline: Baseline, outcome: LogOutcome) {
  const { ledger, log, store, clock, signal, onProgress, settleMs = DEFAULT_SETTLE_MS } = options;
  const resolution = options.resolution ?? DEFAULT_RESOLUTIONS[0]!;
  if (!store) {
    return {
      rollups: { checked: false, resolution: resolution.name, windows: 0, mismatches: 0 },
      rollupMismatches: [],
    };
  }
  const { windows, mismatches } = await checkRollups({
    ...{ ledger, store, resolution, clock, settleMs },
    ...(signal && { signal }),
    counted: async () => {
      const late = await lateCopies(log, ledger, baseline);
      // Late is a copy, not a reading: when one copy came in time the reading counts.
      return (n) => outcome.copies[n]! > (late.get(n) ?? 0);
    },
    onProgress: (devices) => onProgress?.(`waiting for the rollups of ${devices} devices`),
  });
  return {
    rollups: { checked: true, resolution: resolution.name, windows, mismatches: mismatches.length },
    rollupMismatches: mismatches.slice(0, MAX_LISTED),
  };
}

/** Counters must tell what the topics hold (INV-2), and the gateway cannot have received less than it acked. */
async function verifyStats(
  options: VerifyOptions,
  baseline: Baseline,
  outcome: LogOutcome,
): Promise<StatsVerdict> {
  const before = baseline.stats;
  if (!options.stats || !before)
    return { checked: false, why: "no counters from before the run", problems: [] };
  const after = await options.stats();
  if (after.startedAt !== before.startedAt || after.received < before.received) {
    return { checked: false, why: "the gateway was restarted during the run", problems: [] };
  }
  const delta = {
    received: after.received - before.received,
    readings: after.readings - before.readings,
    invalid: after.invalid - before.invalid,
  };
  const problems: string[] = [];
  const { newReadings, newInvalid } = outcome;
  if (delta.readings !== newReadings) {
    problems.push(`stats count ${delta.readings} readings, the log has ${newReadings} new ones`);
  }
  if (delta.invalid !== newInvalid) {
    problems.push(`stats count ${delta.invalid} invalid, the log has ${newInvalid} new dead letters`);
  }
  const acked = ackedCount(options.ledger);
  if (delta.received < acked)
    problems.push(`stats count ${delta.received} received, but ${acked} were acked`);
  return { checked: true, delta, problems };
}

function ackedCount(ledger: Ledger): number {
  let acked = 0;
  for (let n = 0; n < ledger.size; n++) if (ledger.isAcked(n)) acked++;
  return acked;
}

/** Why agreement alone would prove too little. */
function doubts(ledger: Ledger, { sent, acked }: VerifyReport): string[] {
  const { end, header } = ledger;
  if (sent === 0) return ["nothing was sent"];
  if (end && !end.aborted && end.unfinished > 0) {
    return [`${end.unfinished} of ${header.devices} devices did not get all their messages acked`];
  }
  return acked === 0 && header.qos > 0 ? ["nothing was acked"] : [];
}

function problemsOf(report: VerifyReport): string[] {
  const counted: [number, string][] = [
    [report.lost, "acked messages are lost"],
    [report.duplicated, "copies in the log that no re-send explains"],
    [report.wrongReason, "dead letters have the wrong reason"],
    [report.wrongEnd, "valid readings became dead letters"],
    [report.altered, "readings in the log differ from what was sent"],
    [report.unknown, "records of the fleet's devices were never sent"],
    [report.lateUnexpected, "readings are in the late topic, but were sent in order"],
    [report.rollups.mismatches, `rollups (${report.rollups.resolution}) differ from the ledger`],
  ];
  const problems = counted.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return [...problems, ...report.stats.problems];
}

/** How many entries of the ledger carry each fault label. */
function labelCounts(ledger: Ledger): Record<keyof typeof LABELS, number> {
  const names = Object.keys(LABELS) as (keyof typeof LABELS)[];
  const counts = Object.fromEntries(names.map((name) => [name, 0])) as Record<keyof typeof LABELS, number>;
  for (let n = 0; n < ledger.size; n++) {
    for (const name of names) if (ledger.labels(n) & LABELS[name]) counts[name]++;
  }
  return counts;
}
