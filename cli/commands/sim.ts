/**
 * `sluice sim`: run a fleet of simulated devices against a running Sluice, then hold log, rollups and counters against
 * the fleet's ledger. Exit code 1 on any difference.
 */

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { SluiceError } from "../../contracts/errors.js";
import type { Log } from "../../contracts/ports/log.js";
import { parseDurationMs } from "../../contracts/window.js";
import { ANOMALY_KINDS } from "../../device-sim/anomalies.js";
import { takeBaseline } from "../../device-sim/baseline.js";
import { runFleet } from "../../device-sim/fleet.js";
import { measureFreshness } from "../../device-sim/freshness.js";
import type { Latency } from "../../device-sim/latency.js";
import { simOptionsSchema } from "../../device-sim/options.js";
import { renderProgress } from "../../device-sim/report.js";
import { parseScenario, type Scenario } from "../../device-sim/scenario.js";
import { systemClock } from "../../runtime/clock.js";
import type { Config } from "../../runtime/config/schema.js";
import { createLogger } from "../../runtime/logger.js";
import { Progress } from "../output.js";
import { withSettings } from "../settings.js";
import { withLog } from "../with-log.js";
import { stopSignal } from "./serve.js";
import { simPlayCommand, simRecordCommand } from "./sim-record.js";
import {
  apiOf,
  judge,
  resolutionOf,
  simVerifyCommand,
  type VerdictFlags,
  verdictOptions,
} from "./sim-verify.js";

export function simCommand(program: Command): void {
  // Flags behind `sim verify` are its own, though `sim` has some of the same name; all commands above have to agree.
  program.enablePositionalOptions();
  const sim = program
    .command("sim")
    .description(
      "run simulated devices against a running Sluice and verify that nothing was lost or counted twice",
    )
    .enablePositionalOptions();
  withSettings(verdictOptions(fleetOptions(sim))).action((_options, command: Command) =>
    withLog(command, (log, config) => run(command, log, config)),
  );
  simVerifyCommand(sim);
  simRecordCommand(sim);
  simPlayCommand(sim);
}

function fleetOptions(sim: Command): Command {
  return sim
    .option("--devices <n>", "simulated devices", "10")
    .option(
      "--rate <r>",
      "readings per second of each device; 0: as fast as acks allow, with made-up event times",
      "1",
    )
    .option("--duration <s>", "seconds (or 90s, 5m) to send; with --rate 0: event time covered", "60")
    .option("--step <s>", "with --rate 0: event time between two readings of a device", "1")
    .option("--seed <n>", "same seed, same readings", "1")
    .option("--client <name>", "mqttjs: a full client; light: bare sockets, for many thousands", "mqttjs")
    .option("--qos <n>", "0, 1 or 2", "1")
    .option("--window <n>", "messages a device has in flight at most", "20")
    .option("--ramp <s>", "seconds over which devices connect", "0")
    .option("--drain <s>", "give up when nothing was acked for so long after everything was due", "30")
    .option("--prefix <text>", "start of every device id; unique by default")
    .option("--duplicates <f>", "fraction of acked messages that are sent again", "0")
    .option("--reordered <f>", "fraction of readings overtaken by later ones", "0")
    .option("--malformed <f>", "malformed messages per reading", "0")
    .option("--late <f>", "fraction of readings uploaded late", "0")
    .option("--cuts <f>", "fraction of readings after which the connection is cut", "0")
    .option("--anomalies <n>", "devices that get a labelled anomaly", "0")
    .option("--anomaly-kinds <list>", `taken in turn: ${ANOMALY_KINDS.join(",")}`)
    .option(
      "--scenario <file>",
      "device types, load and anomalies from a YAML file, in place of the flags on them",
    )
    .option("--ledger <file>", "keep the ledger in this file")
    .option("--url <url>", "MQTT address; default from the configuration");
}

async function run(command: Command, log: Log, config: Config): Promise<void> {
  const options = command.opts<Record<string, string>>();
  const flags = command.opts<VerdictFlags>();
  const scenario = scenarioOf(command);
  const store = apiOf(flags, config);
  const progress = new Progress();
  const baseline = await takeBaseline({ log, stats: () => store.stats() });
  const resolution = resolutionOf(flags);
  const ended = new AbortController();
  let freshness: Promise<Latency> | undefined;
  const { ledger } = await runFleet({
    ...simOptions(options, config),
    ...(scenario && { scenario }),
    ...{ clock: systemClock, logger: createLogger("warn"), baseline, signal: stopSignal() },
    onStart: (running, elapsedMs) => {
      const watched = {
        ledger: running,
        elapsedMs,
        store,
        resolution,
        clock: systemClock,
        signal: ended.signal,
      };
      freshness = measureFreshness(watched);
      freshness.catch(() => {}); // told when it is awaited
    },
    onProgress: (state) => progress.show(renderProgress(state)),
  }).finally(() => ended.abort());
  progress.clear();
  await judge(ledger, log, config, flags, await freshness);
}

/** What a scenario says itself. */
const REPLACED = ["devices", "rate", "duration", "step", "anomalies", "anomalyKinds"];
const FAULTS = ["duplicates", "reordered", "malformed", "late", "cuts"];

/** @throws SluiceError CONFIG_INVALID when it is no scenario, or when flags contradict it */
function scenarioOf(command: Command): Scenario | undefined {
  const { scenario: path } = command.opts<{ scenario?: string }>();
  if (path === undefined) return undefined;
  const given = [...REPLACED, ...FAULTS].filter((name) => command.getOptionValueSource(name) === "cli");
  if (given.length > 0) {
    throw new SluiceError(
      "CONFIG_INVALID",
      `with --scenario these are part of the file: ${given.join(", ")}`,
    );
  }
  try {
    return parseScenario(readFileSync(path, "utf8"));
  } catch (cause) {
    if (cause instanceof SluiceError) throw cause;
    throw new SluiceError("CONFIG_INVALID", `cannot read ${path}`, { cause });
  }
}

function simOptions(options: Record<string, string>, config: Config) {
  const number = (name: string) => Number(options[name]);
  const parsed = simOptionsSchema.safeParse({
    url: options.url ?? `mqtt://${config.mqtt.host}:${config.mqtt.port}`,
    client: options.client,
    devices: number("devices"),
    ratePerDevice: number("rate"),
    durationMs: milliseconds(options.duration!),
    stepMs: milliseconds(options.step!),
    seed: number("seed"),
    qos: number("qos"),
    window: number("window"),
    rampMs: milliseconds(options.ramp!),
    drainMs: milliseconds(options.drain!),
    ...(options.prefix !== undefined && { prefix: options.prefix }),
    faults: {
      duplicates: number("duplicates"),
      reordered: number("reordered"),
      malformed: number("malformed"),
      late: number("late"),
      cuts: number("cuts"),
    },
    anomalies: number("anomalies"),
    ...(options.anomalyKinds !== undefined && { anomalyKinds: options.anomalyKinds.split(",") }),
    ...(options.ledger !== undefined && { ledgerPath: options.ledger }),
  });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new SluiceError("CONFIG_INVALID", problems.join("\n"));
}

/** Seconds as a plain number, or a duration with its unit. */
function milliseconds(text: string): number {
  return /^\d+(\.\d+)?$/.test(text)
    ? Math.round(Number(text) * 1_000)
    : (parseDurationMs(text) ?? Number.NaN);
}
