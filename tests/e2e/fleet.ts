/**
 * A fleet that runs in the test's own process while Sluice is started, killed and restarted around it, and the
 * verdict afterwards.
 */
import assert from "node:assert/strict";
import type { Log } from "../../contracts/ports/log.js";
import { takeBaseline } from "../../device-sim/baseline.js";
import { type FleetProgress, type FleetResult, runFleet } from "../../device-sim/fleet.js";
import { HttpStore } from "../../device-sim/http-store.js";
import type { SimOptionsInput } from "../../device-sim/options.js";
import { renderReport } from "../../device-sim/report.js";
import { type VerifyReport, verifyLedger } from "../../device-sim/verify.js";
import { systemClock } from "../../runtime/clock.js";
import { createLogger } from "../../runtime/logger.js";
import { type CommandResult, until } from "./harness.js";

export interface RunningFleet {
  /** Messages acked so far. */
  acked(): number;
  /** Waits until `more` further messages are acked, or the fleet is done. */
  progressed(more: number): Promise<void>;
  done(): boolean;
  /** Ends the run early; what was sent until then is judged. */
  stop(): void;
  result: Promise<FleetResult>;
}

const PROGRESS_LIMIT_MS = 180_000;

/** Starts a fleet; it waits for acks through every outage. */
export async function startFleet(log: Log, mqttUrl: string, sim: SimOptionsInput): Promise<RunningFleet> {
  const baseline = await takeBaseline({ log });
  const stop = new AbortController();
  let latest: FleetProgress | undefined;
  let done = false;
  const result = runFleet({
    ...{ drainMs: PROGRESS_LIMIT_MS, ...sim, url: mqttUrl },
    ...{ clock: systemClock, logger: createLogger("silent"), baseline, signal: stop.signal },
    onProgress: (progress) => {
      latest = progress;
    },
  }).finally(() => {
    done = true;
  });
  result.catch(() => {}); // whoever awaits it is told
  const acked = () => latest?.acked ?? 0;
  return {
    acked,
    progressed: async (more) => {
      const from = acked();
      await until(`${more} more acks`, () => done || acked() >= from + more, PROGRESS_LIMIT_MS);
    },
    done: () => done,
    stop: () => stop.abort(),
    result,
  };
}

/** Holds log and rollups against the ledger. @throws AssertionError with the whole report when they differ */
export async function assertAllCounted(
  fleet: RunningFleet,
  log: Log,
  httpUrl: string,
): Promise<VerifyReport> {
  const { ledger } = await fleet.result;
  const report = await verifyLedger({ ledger, log, store: new HttpStore(httpUrl), clock: systemClock });
  assertVerdict(report);
  return report;
}

/** Nothing acked is missing, nothing counts twice, every rollup is what the ledger says. */
export function assertVerdict(report: VerifyReport): void {
  assert.ok(report.ok, renderReport(report));
  assert.ok(report.rollups.checked && report.rollups.windows > 0, "rollups were compared");
  const { lost, duplicated, altered, unknown, wrongEnd } = report;
  const none = { lost: 0, duplicated: 0, altered: 0, unknown: 0, wrongEnd: 0 };
  assert.deepEqual({ lost, duplicated, altered, unknown, wrongEnd }, none);
}

/** The report of `sluice sim --json`, whose exit code must be 0. */
export function reportOf({ code, stdout, stderr }: CommandResult): VerifyReport {
  assert.equal(code, 0, `sluice sim ended with ${code}:\n${stderr}\n${stdout.slice(-4_000)}`);
  return JSON.parse(stdout) as VerifyReport;
}
