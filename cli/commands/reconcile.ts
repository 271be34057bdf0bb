/**
 * `sluice reconcile`: does the store hold what the log says? Exit code 1 when it does not.
 */
import type { Command } from "commander";
import { SluiceError } from "../../contracts/errors.js";
import { parseDurationMs } from "../../contracts/window.js";
import type { Difference } from "../../processors/reconcile/compare.js";
import { type ReconcileReport, reconcile } from "../../processors/reconcile/reconcile.js";
import { systemClock } from "../../runtime/clock.js";
import { createLogger } from "../../runtime/logger.js";
import { operatorOptions } from "../app.js";
import { Eta } from "../eta.js";
import { Progress, printJson, printLine, printTable } from "../output.js";
import { openState } from "../ports.js";
import { withSettings } from "../settings.js";
import { parseTime } from "../time-or-offset.js";
import { withLog } from "../with-log.js";
import { stopSignal } from "./serve.js";

interface ReconcileCommand {
  from?: string;
  to?: string;
  settle: string;
  repair?: boolean;
  json?: boolean;
}

/** Differences printed in words; `--json` has all of them. */
const MAX_PRINTED = 100;

export function reconcileCommand(program: Command): void {
  withSettings(
    program
      .command("reconcile")
      .description(
        "recompute a range from the log and compare it with the store, field by field; exit 1 when they differ",
      )
      .option("--from <time>", "first window (ISO 8601 or epoch ms); a day before --to when absent")
      .option("--to <time>", "windows before this; now when absent")
      .option(
        "--settle <duration>",
        "how long rows may differ while live processing is at work on them",
        "20s",
      )
      .option("--repair", "write what the log says where the store differs")
      .option("--json", "one JSON document on stdout"),
  ).action((_options, command: Command) => run(command));
}

async function run(command: Command): Promise<void> {
  const options = command.opts<ReconcileCommand>();
  const toMs = options.to === undefined ? systemClock.now() + 1 : parseTime(options.to, "--to");
  const fromMs = options.from === undefined ? toMs - 86_400_000 : parseTime(options.from, "--from");
  const settleMs = parseDurationMs(options.settle);
  if (settleMs === undefined)
    throw new SluiceError("CONFIG_INVALID", `--settle: ${options.settle} is no duration such as 20s`);
  if (fromMs >= toMs) throw new SluiceError("CONFIG_INVALID", "--from must be before --to");
  const report = await withLog(command, async (log, config) => {
    const logger = createLogger("warn");
    const state = openState({ config, logger }, log);
    const progress = new Progress();
    const eta = new Eta();
    try {
      return await reconcile({
        ...{ log, store: state.store, clock: systemClock, logger, operator: operatorOptions(config) },
        ...{ fromMs, toMs, settleMs, repair: options.repair === true, signal: stopSignal() },
        maxClockSkewMs: config.ingest.maxClockSkew,
        onProgress: (step, done, total) => progress.show(`${step}  ${eta.text(done, total)}`),
      });
    } finally {
      progress.clear();
      await state.close();
    }
  });
  if (options.json) printJson(report);
  else print(report);
  const left = report.differences.length > 0 && (!options.repair || report.unexplained > 0);
  if (left)
    throw new SluiceError(
      "LEDGER_MISMATCH",
      `${report.differences.length} differences between log and store`,
    );
}

function print(report: ReconcileReport): void {
  const { differences, records, windows, late, unsettled, repaired, unexplained, truncated, alertsCompared } =
    report;
  if (differences.length > 0) {
    printTable(["series", "window", "field", "store", "log"], differences.slice(0, MAX_PRINTED).map(row));
    if (differences.length > MAX_PRINTED)
      printLine(`... and ${differences.length - MAX_PRINTED} more (--json has all)`);
    printLine();
  }
  printLine(`${records} records read, ${windows} windows compared, ${late} late readings folded in`);
  if (truncated)
    printLine("note: retention has removed records that windows at the start of the range may need");
  if (!alertsCompared)
    printLine("note: alerts were not compared: the log no longer holds all the detectors have learned from");
  if (unsettled > 0) printLine(`${unsettled} rows kept changing and were not judged`);
  if (repaired > 0) printLine(`${repaired} rows repaired`);
  if (unexplained > 0)
    printLine(`${unexplained} rows are in the store and not in the log: delete them there`);
  printLine(differences.length === 0 ? "no differences" : `${differences.length} differences`);
}

function row({ series, start, field, store, log }: Difference): string[] {
  return [series, new Date(start).toISOString(), field, String(store ?? "missing"), String(log ?? "missing")];
}
