/**
 * Alert rules: what to watch, with which detector, and when an alert ends.
 *
 * Guarantee: a {@link Rule} is complete and checked; its detector exists and its parameters fit.
 */
import { z } from "zod";
import type { Severity } from "../../contracts/alert.js";
import { parseDurationMs } from "../../contracts/window.js";
import { ALARM_SCORE } from "../anomaly/detector.js";
import { DEFAULT_DETECTOR, detectors } from "../anomaly/registry.js";

const duration = z.string().transform((text, context) => {
  const ms = parseDurationMs(text);
  if (ms !== undefined) return ms;
  context.addIssue({ code: "custom", message: `"${text}" is not a duration such as 30s, 5m or 1h` });
  return z.NEVER;
});

/** A rule as a user writes it in the configuration file. */
export const ruleSchema = z
  .strictObject({
    name: z.string().regex(/^[A-Za-z0-9._:-]{1,128}$/, "letters, digits and . _ : - only"),
    /** Glob over device ids: `*` stands for any run of characters, `?` for one. */
    device: z.string().min(1).default("*"),
    /** Glob over metric names. */
    metric: z.string().min(1).default("*"),
    detector: z.enum(Object.keys(detectors)).default(DEFAULT_DETECTOR),
    params: z.record(z.string(), z.unknown()).default({}),
    severity: z.enum(["info", "warning", "critical"]).default("warning"),
    /** Score from which a reading raises the alert. */
    threshold: z.number().min(ALARM_SCORE).max(1).default(ALARM_SCORE),
    /** Event time without an alarm after which the alert resolves; default 0 for `range`, else 60 s. */
    clearAfter: duration.optional(),
  })
  .superRefine((rule, context) => {
    const parsed = detectors[rule.detector]!.params.safeParse(rule.params);
    for (const issue of parsed.error?.issues ?? []) {
      context.addIssue({ code: "custom", path: ["params", ...issue.path], message: issue.message });
    }
  });

export interface Rule {
  name: string;
  matches(device: string, metric: string): boolean;
  detector: string;
  params: unknown;
  severity: Severity;
  threshold: number;
  clearAfterMs: number;
}

/**
 * The rules in force when the configuration names none: the learned detector on every series. It wakes somebody only
 * at four times the distance at which the detector calls a reading unusual (score = ratio / (1 + ratio)).
 */
export const DEFAULT_RULES: readonly z.input<typeof ruleSchema>[] = [{ name: "anomaly", threshold: 0.8 }];

export function compileRule(config: z.output<typeof ruleSchema>): Rule {
  const device = globPattern(config.device);
  const metric = globPattern(config.metric);
  return {
    name: config.name,
    matches: (d, m) => device.test(d) && metric.test(m),
    detector: config.detector,
    params: detectors[config.detector]!.params.parse(config.params),
    severity: config.severity,
    threshold: config.threshold,
    clearAfterMs: config.clearAfter ?? (config.detector === "range" ? 0 : 60_000),
  };
}

function globPattern(glob: string): RegExp {
  const escaped = glob.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`);
}
