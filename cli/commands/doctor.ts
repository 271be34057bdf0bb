/**
 * `sluice doctor`: would Sluice work here, with this configuration? Looks, changes nothing, says what to change.
 * Exit code 1 when there is a problem; warnings leave it at 0.
 */
import type { Command } from "commander";
import { systemClock } from "../../runtime/clock.js";
import type { Config } from "../../runtime/config/schema.js";
import { createLogger } from "../../runtime/logger.js";
import type { Finding } from "../doctor/finding.js";
import { checkDisk, checkOpenFiles, checkPorts } from "../doctor/host.js";
import { checkLog, checkStore } from "../doctor/services.js";
import { printJson, printLine } from "../output.js";
import { configOf, withSettings } from "../settings.js";

export function doctorCommand(program: Command): void {
  withSettings(
    program
      .command("doctor")
      .description(
        "check ports, limits, clock, disk, log and store, and say what to change; exit 1 on a problem",
      ),
  )
    .option("--json", "one JSON document on stdout")
    .action(async (_options, command: Command) => {
      const findings = await examine(configOf(command));
      const healthy = findings.every(({ level }) => level !== "problem");
      if (command.opts().json) printJson({ ok: healthy, findings });
      else print(findings);
      if (!healthy) process.exitCode = 1;
    });
}

async function examine(config: Config): Promise<Finding[]> {
  // What goes wrong is a finding; the log lines about it would only say it twice.
  const services = { config, logger: createLogger("silent"), nowMs: systemClock.now() };
  return [
    ...(await checkPorts(config)),
    checkOpenFiles(),
    ...(await checkDisk(config.dataDir)),
    ...(await checkLog(services)),
    await checkStore(services),
  ];
}

const SIGNS = { ok: "ok     ", warning: "warning", problem: "PROBLEM" } as const;

function print(findings: readonly Finding[]): void {
  const width = Math.max(...findings.map(({ check }) => check.length));
  for (const { check, level, detail, advice } of findings) {
    printLine(`${SIGNS[level]}  ${check.padEnd(width)}  ${detail}`);
    if (advice !== undefined) printLine(`${" ".repeat(width + 11)}-> ${advice}`);
  }
}
