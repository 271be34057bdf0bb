/**
 * Opens the log for one command and closes it whatever happens.
 */
import type { Command } from "commander";
import type { Log } from "../contracts/ports/log.js";
import type { Config } from "../runtime/config/schema.js";
import { createLogger } from "../runtime/logger.js";
import { openLog, topicSpecs } from "./ports.js";
import { configOf } from "./settings.js";

export async function withLog<T>(
  command: Command,
  work: (log: Log, config: Config) => Promise<T>,
): Promise<T> {
  const config = configOf(command);
  // Commands talk on stdout: of what happens beside, only problems are told.
  const level = config.logLevel === "info" ? "warn" : config.logLevel;
  const log = await openLog({ config, logger: createLogger(level) });
  try {
    await log.ensureTopics(topicSpecs(config));
    return await work(log, config);
  } finally {
    await log.close();
  }
}
