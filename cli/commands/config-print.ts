/**
 * `sluice config print` and `sluice config schema`: what is in force and where it came from; what an editor checks.
 */
import type { Command } from "commander";
import { z } from "zod";
import { configSchema } from "../../runtime/config/schema.js";
import { effectiveSettings, effectiveYaml } from "../effective-config.js";
import { printJson } from "../output.js";
import { explainedConfigOf, withSettings } from "../settings.js";

/** @param config the command `sluice config` */
export function configPrintCommands(config: Command): void {
  withSettings(
    config
      .command("print")
      .description("print every setting in force, with where its value came from; secrets are masked"),
  )
    .option("--json", "one JSON document on stdout")
    .action((_options, command: Command) => {
      const explained = explainedConfigOf(command);
      if (command.opts().json) printJson({ settings: effectiveSettings(explained) });
      else process.stdout.write(effectiveYaml(explained));
    });
  config
    .command("schema")
    .description("print the JSON Schema of the configuration file, for editors")
    .action(() => printJson(configJsonSchema()));
}

/** JSON Schema (draft 2020-12) of what a file may hold: no setting is required. */
export function configJsonSchema(): object {
  return { title: "Sluice configuration", ...z.toJSONSchema(configSchema, { io: "input" }) };
}
