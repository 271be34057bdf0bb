/**
 * `sluice backtest`: what a rules file would have done over the retained log, without side effects; held against labels,
 * beside another rules file, or to find a threshold.
 */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { SluiceError } from "../../contracts/errors.js";
import type { Log } from "../../contracts/ports/log.js";
import { TOPICS } from "../../contracts/topics.js";
import { spanText } from "../../processors/alerting/numbers.js";
import type { Rule } from "../../processors/alerting/rules.js";
import {
  daysOf,
  type Evaluation,
  evaluate,
  firesAt,
  notificationsPerDay,
} from "../../processors/backtest/evaluate.js";
import { type Labels, parseLabels } from "../../processors/backtest/labels.js";
import { type BacktestResult, backtest } from "../../processors/backtest/run.js";
import { ScoreCollector } from "../../processors/backtest/suggest.js";
import type { ReplayRange } from "../../processors/engine/replay.js";
import { systemClock } from "../../runtime/clock.js";
import type { Config } from "../../runtime/config/schema.js";
import { createLogger } from "../../runtime/logger.js";
import { Eta } from "../eta.js";
import { Progress, printJson, printLine, printTable } from "../output.js";
import { resolutionsOf } from "../ports.js";
import { readRulesFile, rulesOf } from "../rules.js";
import { withSettings } from "../settings.js";
import { parseTime } from "../time-or-offset.js";
import { withLog } from "../with-log.js";
import { stopSignal } from "./serve.js";

interface BacktestCommand {
  rules?: string;
  from?: string;
  to?: string;
  labels?: string;
  compare?: string;
  suggest?: string;
  falseAlarmsPerDay: string;
  json?: boolean;
}

/** What one rules file came to. */
interface Outcome {
  file: string;
  result: BacktestResult;
  days: number;
  evaluation: Evaluation | undefined;
}

/** The run over the log, with everything but the rules decided. */
type Run = (rules: readonly Rule[], what: string) => Promise<BacktestResult>;

export function backtestCommand(program: Command): void {
  withSettings(
    program
      .command("backtest")
      .description("run alert rules over the retained log without side effects")
      .option("--rules <file>", "rules file; the rules of the configuration when absent")
      .option("--from <time>", "report alerts from here on (ISO 8601 or epoch ms); all when absent")
      .option("--to <time>", "and before this; the end of the log when absent")
      .option("--labels <file>", 'when something was wrong: JSON {"device/metric": [[start, end], ...]}')
      .option("--compare <file>", "a second rules file, side by side")
      .option("--suggest <rule>", "find a threshold for this rule")
      .option("--false-alarms-per-day <n>", "that gives at most so many alerts outside of labels", "1")
      .option("--json", "one JSON document on stdout"),
  ).action((_options, command: Command) =>
    withLog(command, (log, config) => run(command.opts<BacktestCommand>(), log, config)),
  );
}

async function run(options: BacktestCommand, log: Log, config: Config): Promise<void> {
  const fromMs = options.from === undefined ? 0 : parseTime(options.from, "--from");
  const toMs = options.to === undefined ? Number.MAX_SAFE_INTEGER : parseTime(options.to, "--to");
  if (fromMs >= toMs) throw new SluiceError("CONFIG_INVALID", "--from must be before --to");
  const labels = options.labels === undefined ? undefined : labelsOf(options.labels);
  const rules = options.rules === undefined ? rulesOf(config) : readRulesFile(options.rules);
  const other = options.compare === undefined ? undefined : readRulesFile(options.compare);
  const runRules = runner(log, config, { fromMs, toMs });

  if (options.suggest !== undefined) {
    return suggest(options, rules, labels ?? new Map(), { fromMs, toMs }, runRules);
  }
  const outcome = async (file: string, list: readonly Rule[]): Promise<Outcome> => {
    const result = await runRules(list, file);
    const days = result.span ? daysOf(result.span) : 0;
    return { file, result, days, evaluation: labels && evaluate(result.alerts, labels, inSight(result)) };
  };
  const outcomes = [await outcome(options.rules ?? "configuration", rules)];
  if (other) outcomes.push(await outcome(options.compare!, other));
  if (options.json) printJson({ backtests: outcomes.map(asJson) });
  else print(outcomes);
}

/** Labels count where there were readings to judge. */
function inSight({ span }: BacktestResult): { fromMs: number; toMs: number } {
  return span ? { fromMs: span.firstMs, toMs: span.lastMs } : { fromMs: 0, toMs: 0 };
}

function runner(log: Log, config: Config, { fromMs, toMs }: { fromMs: number; toMs: number }): Run {
  const signal = stopSignal();
  return async (rules, what) => {
    const ranges = await rangesUntil(log, toMs);
    const progress = new Progress();
    const eta = new Eta();
    try {
      return await backtest({
        ...{ log, logger: createLogger("warn"), rules, ranges, fromMs, toMs, signal },
        ...{ resolutions: resolutionsOf(config), allowedLatenessMs: config.processor.allowedLateness },
        ...(toMs === Number.MAX_SAFE_INTEGER ? {} : { nowMs: Math.min(toMs, systemClock.now()) }),
        onProgress: (done, total) => progress.show(`${what}  ${eta.text(done, total)}`),
      });
    } finally {
      progress.clear();
    }
  };
}

/** All that is retained and came in before `toMs`: detectors learn from what lies before the time reported. */
async function rangesUntil(log: Log, toMs: number): Promise<ReplayRange[]> {
  const ranges = await log.ranges(TOPICS.readings);
  return Promise.all(
    ranges.map(async ({ partition, earliest, next }) => {
      const end =
        toMs === Number.MAX_SAFE_INTEGER ? next : await log.offsetForTime(TOPICS.readings, partition, toMs);
      return { partition, from: earliest, to: Math.max(earliest, Math.min(next, end)) };
    }),
  );
}

function labelsOf(file: string): Labels {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new SluiceError("CONFIG_INVALID", `cannot read ${file}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return parseLabels(text, file);
}

function asJson({ file, result, days, evaluation }: Outcome) {
  return {
    ...{ rules: file, records: result.records, days },
    alertsPerDay: perDay(result.alerts.length, days),
    notificationsPerDay: notificationsPerDay(result.alerts),
    ...(evaluation && { evaluation }),
    alerts: result.alerts,
  };
}

function print(outcomes: readonly Outcome[]): void {
  for (const { file, result } of outcomes) {
    printLine(`${file}: ${result.alerts.length} alerts`);
    if (result.alerts.length > 0) {
      const rows = result.alerts.map((alert) => [
        time(firesAt(alert)),
        alert.resolvedAt === undefined ? "still firing" : spanText(alert.resolvedAt - alert.startedAt),
        ...[alert.severity, alert.rule, alert.summary],
      ]);
      printTable(["fires", "for", "severity", "rule", "what"], rows);
    }
    printLine();
  }
  printDays(outcomes);
  const names = outcomes.map(({ file }) => file);
  printTable(["", ...names], summaryRows(outcomes));
}

function printDays(outcomes: readonly Outcome[]): void {
  const counts = outcomes.map(
    ({ result }) => new Map(notificationsPerDay(result.alerts).map((day) => [day.day, day])),
  );
  const days = [...new Set(counts.flatMap((byDay) => [...byDay.keys()]))].sort();
  if (days.length === 0) return;
  const cell = (byDay: (typeof counts)[number], day: string) => byDay.get(day)?.firing ?? 0;
  printTable(
    ["alerts of the day", ...outcomes.map(({ file }) => file)],
    days.map((day) => [day, ...counts.map((byDay) => cell(byDay, day))]),
  );
  printLine();
}

function summaryRows(outcomes: readonly Outcome[]): string[][] {
  const row = (name: string, text: (outcome: Outcome) => string) => [name, ...outcomes.map(text)];
  const rows = [
    row("records read", ({ result }) => String(result.records)),
    row("days", ({ days }) => days.toFixed(2)),
    row("alerts", ({ result }) => String(result.alerts.length)),
    row("alerts per day", ({ result, days }) => ratio(perDay(result.alerts.length, days))),
  ];
  if (!outcomes[0]!.evaluation) return rows;
  const judged = (name: string, text: (evaluation: Evaluation) => string) =>
    row(name, ({ evaluation }) => text(evaluation!));
  return [
    ...rows,
    judged("on labelled series", (e) => String(e.judged)),
    judged("right", (e) => String(e.right)),
    judged("labelled intervals", (e) => String(e.intervals)),
    judged("found", (e) => String(e.found)),
    judged("precision", (e) => ratio(e.precision)),
    judged("recall", (e) => ratio(e.recall)),
    judged("F1", (e) => ratio(e.f1)),
    judged("time to detect, median", (e) => (e.timeToDetectMs ? spanText(e.timeToDetectMs.median) : "-")),
    judged("time to detect, most", (e) => (e.timeToDetectMs ? spanText(e.timeToDetectMs.max) : "-")),
  ];
}

async function suggest(
  options: BacktestCommand,
  rules: readonly Rule[],
  labels: Labels,
  { fromMs, toMs }: { fromMs: number; toMs: number },
  runRules: Run,
): Promise<void> {
  const rule = rules.find(({ name }) => name === options.suggest);
  if (!rule) {
    const names = rules.map(({ name }) => name).join(", ");
    throw new SluiceError("CONFIG_INVALID", `--suggest: no rule ${options.suggest}; there are: ${names}`);
  }
  const wanted = Number(options.falseAlarmsPerDay);
  if (!(wanted >= 0)) throw new SluiceError("CONFIG_INVALID", "--false-alarms-per-day: must be 0 or more");
  const collector = new ScoreCollector(labels, fromMs, toMs);
  const result = await runRules([collector.watching(rule)], `scores of ${rule.name}`);
  const days = result.span ? daysOf(result.span) : 0;
  const { threshold, falseAlarms } = collector.suggest(rule, wanted * days);
  // The scores leave some of the rule aside: what it really does with the threshold is measured.
  const check = threshold === null ? undefined : await runRules([withThreshold(rule, threshold)], "checking");
  const suggestion = {
    ...{ rule: rule.name, days, wantedPerDay: wanted, threshold },
    ...{ falseAlarmsPerDay: perDay(falseAlarms, days), thresholdNow: rule.threshold },
    alertsPerDayWithIt: check ? perDay(check.alerts.length, days) : null,
    alertsPerDayNow: perDay(result.alerts.length, days),
  };
  if (options.json) return printJson({ suggestion });
  if (threshold === null) {
    printLine(`rule ${rule.name}: no threshold has so few false alarms; at 1 there are ${falseAlarms}`);
    return;
  }
  printLine(`rule ${rule.name}: threshold: ${threshold}`);
  printLine(
    `${ratio(suggestion.falseAlarmsPerDay)} false alarms per day over ${days.toFixed(2)} days (wanted: at most ${wanted})`,
  );
  printLine(
    `${ratio(suggestion.alertsPerDayWithIt)} alerts per day with it, ${ratio(suggestion.alertsPerDayNow)} with ${rule.threshold} as now`,
  );
}

function withThreshold(rule: Rule, threshold: number): Rule {
  return { ...rule, threshold, clearThreshold: Math.min(rule.clearThreshold, threshold) };
}

/** null where there is no time to count over. */
function perDay(count: number, days: number): number | null {
  return days > 0 ? count / days : null;
}

function ratio(value: number | null): string {
  return value === null ? "-" : value.toFixed(3);
}

function time(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19);
}
