/**
 * `--config` and a flag for every setting, on every command that reads the configuration.
 */
import { type Command, Option } from "commander";
import { type ExplainedConfig, explainConfig, type Override } from "../runtime/config/load.js";
import type { Config } from "../runtime/config/schema.js";
import { SETTINGS } from "../runtime/config/settings.js";

/** Adds the flags. Each overrides the environment variable of the same name, which overrides the file. */
export function withSettings(command: Command): Command {
  command.option(
    "-c, --config <file>",
    "configuration file (default: sluice.yaml where there is one; SLUICE_CONFIG)",
  );
  for (const { flag, env, description } of SETTINGS) {
    command.addOption(new Option(`--${flag} <value>`, `${description} (${env})`).helpGroup("Settings:"));
  }
  return command;
}

/** @throws SluiceError CONFIG_INVALID */
export function configOf(command: Command): Config {
  return explainedConfigOf(command).config;
}

/** As {@link configOf}, with the source of each value. @throws SluiceError CONFIG_INVALID */
export function explainedConfigOf(command: Command): ExplainedConfig {
  const given = command.opts() as Record<string, string | undefined>;
  const flags = SETTINGS.flatMap((setting): Override[] => {
    const text = given[camelCase(setting.flag)];
    return text === undefined
      ? []
      : [{ path: setting.path, value: setting.parse(text), source: `--${setting.flag}` }];
  });
  return explainConfig({ file: given.config ?? process.env.SLUICE_CONFIG, env: process.env, flags });
}

function camelCase(flag: string): string {
  return flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
