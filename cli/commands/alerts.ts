/**
 * `sluice alerts list|show|explain`: what the store knows of alerts. Reads only.
 */
import type { Command } from "commander";
import type { Alert, AlertState } from "../../contracts/alert.js";
import { SluiceError } from "../../contracts/errors.js";
import type { Store } from "../../contracts/ports/store.js";
import { explain } from "../../processors/alerting/explain.js";
import { createLogger } from "../../runtime/logger.js";
import { printJson, printLine, printTable } from "../output.js";
import { openState } from "../ports.js";
import { withSettings } from "../settings.js";
import { withLog } from "../with-log.js";

const STATES: readonly AlertState[] = ["firing", "resolved"];
/** An id is looked for among so many of the newest alerts. */
const MAX_SEARCHED = 100_000;
/** Enough of an id to name an alert by, as the list shows it. */
const SHORT_ID = 12;

interface ListOptions {
  state?: string;
  device?: string;
  limit: string;
  json?: boolean;
}

/** @returns the command, for what else there is to do with alerts */
export function alertsCommands(program: Command): Command {
  const alerts = program.command("alerts").description("alerts: which there are, and why");
  withSettings(alerts.command("list").description("the newest alerts first"))
    .option("--state <state>", "firing or resolved; both when absent")
    .option("--device <id>", "only those of one device")
    .option("--limit <n>", "at most so many", "50")
    .option("--json", "one JSON document on stdout")
    .action((_options, command: Command) => withStore(command, (store) => list(store, command.opts())));
  const one = (name: string, description: string, print: (alert: Alert, json: boolean) => void) =>
    withSettings(alerts.command(name).description(description))
      .argument("<id>", "id of the alert, or the beginning of it")
      .option("--json", "one JSON document on stdout")
      .action((id: string, _options, command: Command) =>
        withStore(command, async (store) => print(await find(store, id), command.opts().json === true)),
      );
  one("show", "everything that is recorded of one alert", (alert) => printJson(alert));
  one("explain", "why it fired, in words: readings, what was expected, what else moved", (alert, json) => {
    const text = explain(alert);
    if (json) printJson({ id: alert.id, text });
    else for (const line of text) printLine(line);
  });
  return alerts;
}

function withStore(command: Command, work: (store: Store) => Promise<void>): Promise<void> {
  return withLog(command, async (log, config) => {
    const state = openState({ config, logger: createLogger("warn") }, log);
    try {
      await work(state.store);
    } finally {
      await state.close();
    }
  });
}

async function list(store: Store, options: ListOptions): Promise<void> {
  const { state, device } = options;
  if (state !== undefined && !STATES.includes(state as AlertState))
    throw new SluiceError("CONFIG_INVALID", `--state: ${state} is none of ${STATES.join(", ")}`);
  const limit = Number(options.limit);
  if (!Number.isSafeInteger(limit) || limit < 1)
    throw new SluiceError("CONFIG_INVALID", `--limit: ${options.limit} is no positive whole number`);
  const alerts = await store.alerts({
    ...(state !== undefined && { state: state as AlertState }),
    ...(device !== undefined && { device }),
    limit,
  });
  if (options.json) return printJson({ alerts });
  if (alerts.length === 0) return printLine("no alerts");
  printTable(["id", "state", "severity", "since", "rule", "what"], alerts.map(row));
}

function row(alert: Alert): string[] {
  const since = new Date(alert.correctedStartedAt ?? alert.startedAt).toISOString().slice(0, 19);
  const state = alert.flapping ? `${alert.state} (flapping)` : alert.state;
  return [alert.id.slice(0, SHORT_ID), state, alert.severity, since, alert.rule, alert.summary];
}

/** @throws SluiceError CONFIG_INVALID when no alert has this id, or several begin with it */
async function find(store: Store, id: string): Promise<Alert> {
  const found = (await store.alerts({ limit: MAX_SEARCHED })).filter((alert) => alert.id.startsWith(id));
  const exact = found.find((alert) => alert.id === id);
  if (exact) return exact;
  if (found.length === 1) return found[0]!;
  const what = found.length === 0 ? "no alert" : `${found.length} alerts`;
  throw new SluiceError("CONFIG_INVALID", `${what} with an id that begins with ${id}`);
}
