/**
 * Where alert rules come from: the configuration, a file of their own that may change at any time, or the defaults.
 *
 * Guarantee: rules are taken up whole or not at all. A file that cannot be read or has a mistake is refused with every
 * problem named, and the rules in force stay.
 */
import { readFileSync } from "node:fs";
import { parseDocument } from "yaml";
import { SluiceError } from "../contracts/errors.js";
import type { Clock } from "../contracts/ports/clock.js";
import { checkRules, DEFAULT_RULES, type Rule } from "../processors/alerting/rules.js";
import type { Config } from "../runtime/config/schema.js";
import type { Logger } from "../runtime/logger.js";

/** How often the file is looked at. Reading it is cheaper than to be told of changes on every file system. */
const LOOK_INTERVAL_MS = 1_000;

/** @throws SluiceError CONFIG_INVALID naming each rule and field that is wrong */
export function rulesOf(config: Config): Rule[] {
  const { rules, rulesFile } = config.alerts;
  if (rules !== null && rulesFile !== null)
    throw new SluiceError("CONFIG_INVALID", "alerts: either rules or rulesFile, not both");
  return rulesFile === null ? compile(rules ?? DEFAULT_RULES, "alerts.rules") : readRulesFile(rulesFile);
}

/** @throws SluiceError CONFIG_INVALID naming each rule and field that is wrong */
export function readRulesFile(file: string): Rule[] {
  return parseRulesFile(textOf(file), file);
}

/** @throws SluiceError CONFIG_INVALID */
export function parseRulesFile(text: string, file: string): Rule[] {
  const document = parseDocument(text, { prettyErrors: true });
  if (document.errors.length > 0)
    throw new SluiceError("CONFIG_INVALID", `${file}: ${document.errors.map(String).join("\n")}`);
  const values: unknown = document.toJS();
  const rules = (values as { rules?: unknown } | null)?.rules;
  if (!Array.isArray(rules))
    throw new SluiceError("CONFIG_INVALID", `${file}: must hold a list, as in "rules: [{ name: anomaly }]"`);
  const unknown = Object.keys(values as object).filter((key) => key !== "rules");
  if (unknown.length > 0) throw new SluiceError("CONFIG_INVALID", `${file}: ${unknown[0]}: unknown field`);
  return compile(rules, `${file}: rules`);
}

function compile(configs: readonly unknown[], where: string): Rule[] {
  const { rules, problems } = checkRules(configs, where);
  if (problems) throw new SluiceError("CONFIG_INVALID", problems.join("\n"));
  return rules;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new SluiceError("CONFIG_INVALID", `cannot read ${file}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Puts the rules in force whenever the file says something else; does nothing without a file. */
export function watchRulesFile(
  config: Config,
  processor: { useRules(rules: readonly Rule[]): Promise<void> },
  clock: Clock,
  logger: Logger,
): { close(): Promise<void> } {
  const file = config.alerts.rulesFile;
  if (file === null) return { close: async () => {} };
  const stop = new AbortController();
  // What was compiled at the start may differ from what the file says by now: the first look settles it.
  let known: string | undefined;
  const look = async () => {
    let text: string | undefined;
    try {
      text = textOf(file);
      if (text === known) return;
      const rules = parseRulesFile(text, file);
      await processor.useRules(rules);
      if (known !== undefined) logger.info({ file, rules: rules.map(({ name }) => name) }, "new alert rules");
    } catch (error) {
      if (text === undefined && known === "") return;
      logger.error({ file, problem: (error as Error).message }, "alert rules refused: the old ones stay");
    }
    known = text ?? "";
  };
  const loop = async () => {
    while (!stop.signal.aborted) {
      await look();
      await clock.sleep(LOOK_INTERVAL_MS, stop.signal).catch(() => undefined);
    }
  };
  const done = loop();
  return {
    close: async () => {
      stop.abort();
      await done;
    },
  };
}
