#!/usr/bin/env node
/**
 * The `sluice` command. Exit code 0: done; 1: failed; 2: wrong usage.
 */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { SluiceError } from "../contracts/errors.js";
import { alertsCommands } from "./commands/alerts.js";
import { backtestCommand } from "./commands/backtest.js";
import { configCommands } from "./commands/config.js";
import { demoCommand } from "./commands/demo.js";
import { detectCommand } from "./commands/detect.js";
import { dlqCommands } from "./commands/dlq.js";
import { doctorCommand } from "./commands/doctor.js";
import { reconcileCommand } from "./commands/reconcile.js";
import { replayCommand } from "./commands/replay.js";
import { serveCommands } from "./commands/serve.js";
import { simCommand } from "./commands/sim.js";
import { topicsCommand } from "./commands/topics.js";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

const program = new Command("sluice")
  .description(
    "IoT telemetry gateway: MQTT in, one durable replayable log, rollups, anomalies and alerts out",
  )
  .version(version)
  .exitOverride()
  .showHelpAfterError("(--help shows what there is)");
serveCommands(program);
simCommand(program);
replayCommand(program);
reconcileCommand(program);
demoCommand(program);
dlqCommands(program);
topicsCommand(program);
detectCommand(program);
alertsCommands(program);
backtestCommand(program);
configCommands(program);
doctorCommand(program);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof SluiceError) process.stderr.write(`sluice: ${error.message}\n`);
  else process.stderr.write(`sluice: ${(error as Error).stack ?? String(error)}\n`);
  return 1;
}
