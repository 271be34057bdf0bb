/**
 * A fleet that runs in the test's own process while Sluice is started, killed and restarted around it, and the
 * verdict afterwards.
 */
import assert from "node:assert/strict";
import type { Log } from "../../contracts/ports/log.js";
import type { Store } from "../../contracts/ports/store.js";
import { takeBaseline } from "../../device-sim/baseline.js";
import { type FleetProgress, type FleetResult, runFleet } from "../../device-sim/fleet.js";
import { HttpStore } from "../../device-sim/http-store.js";
import type { SimOptionsInput } from "../../device-sim/options.js";
import { renderReport } from "../../device-sim/report.js";
import { type VerifyReport, verifyLedger } from "../../device-sim/verify.js";
import { systemClock } from "../../runtime/clock.js";
import { createLogger } from "../../runtime/logger.js";
import { stats } from "./clients.js";
import { type CommandResult, type Sluice, until, type Workspace } from "./harness.js";

export interface RunningFleet {
  /** Messages acked so far. */
  acked(): number;
  /** Waits until `more` further messages are acked. */
  progressed(more: number): Promise<void>;
  /** Ends the run; what was sent until then is what counts. */
  stop(): Promise<FleetResult>;
}

const PROGRESS_LIMIT_MS = 180_000;
/** How long rollups may stand still before the verdict: a Kafka group waits for the session of a killed member. */
const SETTLE_MS = 180_000;

/** Longer than any test: a fleet runs until it is told to stop, however slow the machine, so that faults find it busy. */
const DURATION_MS = 3_600_000;

/** Starts a fleet that sends on through every outage, until it is stopped; at the latest when the workspace closes. */
export async function startFleet(
  space: Workspace,
  log: Log,
  mqttUrl: string,
  sim: SimOptionsInput,
): Promise<RunningFleet> {
  const baseline = await takeBaseline({ log });
  const stop = new AbortController();
  let latest: FleetProgress | undefined;
  const result = runFleet({
    ...{ durationMs: DURATION_MS, ...sim, url: mqttUrl },
    ...{ clock: systemClock, logger: createLogger("silent"), baseline, signal: stop.signal },
    onProgress: (progress) => {
      latest = progress;
    },
  });
  result.catch(() => {}); // whoever stops it is told
  const acked = () => latest?.acked ?? 0;
  const end = () => {
    stop.abort();
    return result;
  };
  space.onClose(end);
  return {
    acked,
    progressed: async (more) => {
      const from = acked();
      await until(`${more} more acks`, () => acked() >= from + more, PROGRESS_LIMIT_MS);
    },
    stop: end,
  };
}

export interface Judged {
  log: Log;
  /** Where the fleet sent to. */
  gateway: Sluice;
  /** Where rollups are asked for. */
  rollups: Sluice | Pick<Store, "rollups">;
  /**
   * The log itself failed during the run: then the gateway appends again what it does not know to be stored, and the
   * log may hold more copies than the fleet sent. They must not count.
   */
  logFailed?: boolean;
}

/** Stops the fleet and holds log and rollups against its ledger. */
export async function judge(fleet: RunningFleet, judged: Judged): Promise<VerifyReport> {
  const { log, gateway, rollups } = judged;
  const { ledger } = await fleet.stop();
  await until("the gateway to append what the fleet left behind", async () => {
    const { connections, inFlight } = await stats(gateway);
    return connections === 0 && inFlight === 0;
  });
  return verifyLedger({
    ...{ ledger, log, clock: systemClock },
    store: "httpUrl" in rollups ? new HttpStore(rollups.httpUrl) : rollups,
    settleMs: SETTLE_MS,
  });
}

/** What is wrong, a sentence each; the copies that are allowed when the log failed are not. */
export function problemsOf({ problems, duplicated }: VerifyReport, logFailed: boolean): string[] {
  const allowed = `${duplicated} copies in the log that no re-send explains`;
  return problems.filter((problem) => !(logFailed && problem === allowed));
}

/**
 * As {@link judge}.
 * @throws AssertionError with the whole report when there is a difference
 */
export async function assertAllCounted(fleet: RunningFleet, judged: Judged): Promise<VerifyReport> {
  const report = await judge(fleet, judged);
  assertVerdict(report, judged.logFailed);
  return report;
}

/** Nothing acked is missing, nothing counts twice, every rollup is what the ledger says. */
export function assertVerdict(report: VerifyReport, logFailed = false): void {
  assert.deepEqual(problemsOf(report, logFailed), [], renderReport(report));
  const { lost, altered, unknown, wrongEnd, wrongReason, rollups } = report;
  const wrong = { lost, altered, unknown, wrongEnd, wrongReason, mismatches: rollups.mismatches };
  for (const [what, count] of Object.entries(wrong)) assert.equal(count, 0, what);
  assert.ok(rollups.checked && rollups.windows > 0, "rollups were compared");
}

/** `sluice reconcile` finds the store to be, field by field, what the log says. @returns the windows it compared */
export async function assertReconciled(space: Workspace, env: Record<string, string> = {}): Promise<number> {
  const result = await space.command(["reconcile", "--data-dir", space.dataDir, "--json"], env);
  assert.equal(result.code, 0, `sluice reconcile:\n${result.stderr}\n${result.stdout.slice(-4_000)}`);
  const { differences, windows } = JSON.parse(result.stdout) as { differences: unknown[]; windows: number };
  assert.deepEqual(differences, []);
  assert.ok(windows > 0, "windows were compared");
  return windows;
}

/** The report of `sluice sim --json`, whose exit code must be 0. */
export function reportOf({ code, stdout, stderr }: CommandResult): VerifyReport {
  assert.equal(code, 0, `sluice sim ended with ${code}:\n${stderr}\n${stdout.slice(-4_000)}`);
  return JSON.parse(stdout) as VerifyReport;
}
