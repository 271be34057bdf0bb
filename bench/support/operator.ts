/** The operator as the default configuration runs it, with and without its detectors. */
import { DEFAULT_RESOLUTIONS } from "../../contracts/window.js";
import { compileRule, DEFAULT_RULES, ruleSchema } from "../../processors/alerting/rules.js";
import type { OperatorOptions } from "../../processors/engine/device-operator.js";
import { configSchema } from "../../runtime/config/schema.js";

function operator(rules: OperatorOptions["rules"]): OperatorOptions {
  const allowedLatenessMs = configSchema.parse({}).processor.allowedLateness;
  return { resolutions: DEFAULT_RESOLUTIONS, allowedLatenessMs, rules };
}

export const OPERATORS: Record<"downsampling" | "with detectors", OperatorOptions> = {
  downsampling: operator([]),
  "with detectors": operator(DEFAULT_RULES.map((rule) => compileRule(ruleSchema.parse(rule)))),
};
