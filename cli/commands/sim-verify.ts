/**
 * `sluice sim verify`: the verdict on a run, later. Also what `sluice sim` ends with.
 */
import { writeFileSync } from "node:fs";
import type { Command } from "commander";
import { SluiceError } from "../../contracts/errors.js";
import { DEFAULT_RESOLUTIONS, type Resolution } from "../../contracts/window.js";
import { HttpStore } from "../../device-sim/http-store.js";
import type { Latency } from "../../device-sim/latency.js";
import type { Ledger } from "../../device-sim/ledger.js";
import { readLedger } from "../../device-sim/ledger-file.js";
import { renderReport, reportJson } from "../../device-sim/report.js";
import { renderHtml } from "../../device-sim/report-html.js";
import { verifyLedger } from "../../device-sim/verify.js";
import type { ReadLog } from "../../device-sim/verify-log.js";
import { systemClock } from "../../runtime/clock.js";
import type { Config } from "../../runtime/config/schema.js";
import { Progress, printLine } from "../output.js";
import { withSettings } from "../settings.js";
import { withLog } from "../with-log.js";

/** Flags of every command that gives a verdict. */
export interface VerdictFlags {
  api?: string;
  resolution: string;
  settle: string;
  report?: string;
  json?: true;
}

export function verdictOptions(command: Command): Command {
  return command
    .option("--resolution <name>", "rollups to compare: 10s, 1m, 1h or 1d", "10s")
    .option("--settle <s>", "wait for rollups until they have not changed for so long", "30")
    .option("--api <url>", "HTTP address; default from the configuration")
    .option("--report <file>", "write the verdict as a self-contained HTML page")
    .option("--json", "print the verdict as one JSON document");
}

export function simVerifyCommand(sim: Command): void {
  withSettings(
    verdictOptions(
      sim
        .command("verify")
        .description("hold log, rollups and counters of a running Sluice against a ledger kept earlier")
        .argument("<ledger>", "file written by sluice sim --ledger"),
    ),
  ).action((path: string, _options, command: Command) =>
    withLog(command, async (log, config) => judge(await readLedger(path), log, config, command.opts())),
  );
}

export function apiOf(flags: { api?: string }, config: Config): HttpStore {
  return new HttpStore(flags.api ?? `http://${config.http.host}:${config.http.port}`);
}

/** @throws SluiceError CONFIG_INVALID */
export function resolutionOf(flags: VerdictFlags): Resolution {
  const resolution = DEFAULT_RESOLUTIONS.find(({ name }) => name === flags.resolution);
  if (!resolution)
    throw new SluiceError("CONFIG_INVALID", `--resolution ${flags.resolution}: no such rollups`);
  return resolution;
}

/** Prints the verdict. @throws SluiceError LEDGER_MISMATCH when truth and outcome differ */
export async function judge(
  ledger: Ledger,
  log: ReadLog,
  config: Config,
  flags: VerdictFlags,
  freshness?: Latency,
): Promise<void> {
  const resolution = DEFAULT_RESOLUTIONS.find(({ name }) => name === flags.resolution);
  if (!resolution)
    throw new SluiceError("CONFIG_INVALID", `--resolution ${flags.resolution}: no such rollups`);
  const settleMs = Number(flags.settle) * 1_000;
  if (!(settleMs >= 0)) throw new SluiceError("CONFIG_INVALID", `--settle ${flags.settle} is not a number`);
  const progress = new Progress();
  const store = apiOf(flags, config);
  const report = await verifyLedger({
    ...{ ledger, log, store, resolution, settleMs, clock: systemClock, stats: () => store.stats() },
    ...(freshness && { freshness }),
    alerts: (query) => store.alerts(query),
    onProgress: (step) => progress.show(step),
  });
  progress.clear();
  if (flags.report !== undefined) writeFileSync(flags.report, renderHtml(report, ledger));
  printLine(flags.json ? reportJson(report) : renderReport(report));
  if (!report.ok) {
    throw new SluiceError("LEDGER_MISMATCH", "what the fleet sent and what Sluice holds differ");
  }
}
