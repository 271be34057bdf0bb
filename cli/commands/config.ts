/**
 * `sluice config check`: reads the configuration as every other command would, and says what is wrong. `print` and
 * `schema` are in config-print.ts.
 */
import type { Command } from "commander";
import { notifierConfig } from "../notifications.js";
import { printJson, printLine } from "../output.js";
import { rulesOf } from "../rules.js";
import { configOf, withSettings } from "../settings.js";
import { configPrintCommands } from "./config-print.js";

export function configCommands(program: Command): void {
  const config = program.command("config").description("the configuration");
  configPrintCommands(config);
  withSettings(
    config.command("check").description("check file, environment and flags; exit 1 when something is wrong"),
  )
    .option("--json", "one JSON document on stdout")
    .action((_options, command: Command) => {
      const checked = configOf(command);
      rulesOf(checked);
      notifierConfig(checked);
      if (command.opts().json) printJson({ ok: true });
      else printLine("the configuration is valid");
    });
}
