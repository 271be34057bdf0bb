/**
 * Alert rules: what to watch, with which detector, when an alert begins and ends, and what it says.
 *
 * Guarantee: a {@link Rule} is complete and checked; its detector exists, its parameters fit and its templates can be
 * filled in.
 */
import { hash } from "node:crypto";
import { z } from "zod";
import type { Severity } from "../../contracts/alert.js";
import { ALARM_SCORE } from "../anomaly/detector.js";
import { DEFAULT_DETECTOR, detectors } from "../anomaly/registry.js";
import { type ActiveHours, activeHoursSchema } from "./active-hours.js";
import { matchesGlob } from "./globs.js";
import { duration, SILENCE, type SilenceParams, silenceParams } from "./silence-params.js";
import { PLACEHOLDERS, unknownPlaceholders } from "./template.js";

const NAME = /^[A-Za-z0-9._:-]{1,128}$/;
const GLOB = /^[A-Za-z0-9._:*?-]{1,128}$/;
const glob = z.string().regex(GLOB, "a glob of letters, digits and . _ : - with * and ?");
const globs = z.union([glob, z.array(glob).min(1).max(32)]);
const labelName = z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]{0,63}$/, "letters, digits and _ only");

/** Bounds that keep a record of an alert small. */
const MAX_LABELS = 8;
const MAX_ANNOTATIONS = 8;

const DEFAULT_CLEAR_AFTER_MS = 60_000;
const DEFAULT_FLAPPING = { alerts: 5, within: 600_000 };

function atMost(max: number) {
  return (texts: Record<string, string>) => Object.keys(texts).length <= max;
}

/** Fields that say how scores become alerts: a silence has no score. */
const SCORED_ONLY = ["for", "threshold", "clearThreshold", "clearAfter", "flapping"] as const;

/** A rule as a user writes it in the configuration or the rules file. */
export const ruleSchema = z
  .strictObject({
    name: z.string().regex(NAME, "letters, digits and . _ : - only"),
    /** Globs over device ids: `*` stands for any run of characters, `?` for one. One of several is enough. */
    device: globs.default("*"),
    /** Globs over metric names. */
    metric: globs.default("*"),
    detector: z.enum([...Object.keys(detectors), SILENCE]).default(DEFAULT_DETECTOR),
    params: z.record(z.string(), z.unknown()).default({}),
    severity: z.enum(["info", "warning", "critical"]).default("warning"),
    /** How long the condition must hold, in event time, before the alert fires; default 0. */
    for: duration.optional(),
    /** Score from which a reading is an alarm; default 0.5. */
    threshold: z.number().min(ALARM_SCORE).max(1).optional(),
    /** Score below which a reading is none any more; `threshold` when absent. */
    clearThreshold: z.number().gt(0).max(1).optional(),
    /** Event time without an alarm after which the alert resolves; default 0 for `range`, else 60 s. */
    clearAfter: duration.optional(),
    /** From the nth alert within so much event time on, it stays until it was quiet for as long; false for never. */
    flapping: z
      .union([z.literal(false), z.strictObject({ alerts: z.int().min(2).max(20), within: duration })])
      .optional(),
    labels: z
      .record(labelName, z.string().min(1).max(64))
      .refine(atMost(MAX_LABELS), { error: `at most ${MAX_LABELS}` })
      .default({}),
    annotations: z
      .record(labelName, z.string().min(1).max(512))
      .refine(atMost(MAX_ANNOTATIONS), { error: `at most ${MAX_ANNOTATIONS}` })
      .default({}),
    /** When it may raise, in UTC; always when empty. */
    activeHours: z
      .union([activeHoursSchema.transform((span) => [span]), z.array(activeHoursSchema).max(14)])
      .default([]),
  })
  .superRefine((rule, context) => {
    const add = (path: PropertyKey[], message: string) => context.addIssue({ code: "custom", path, message });
    const parsed = paramsOf(rule.detector).safeParse(rule.params);
    for (const issue of parsed.error?.issues ?? []) add(["params", ...issue.path], issue.message);
    for (const [name, template] of Object.entries(rule.annotations)) {
      for (const unknown of unknownPlaceholders(template)) {
        add(["annotations", name], `{{${unknown}}} is unknown; there are: ${PLACEHOLDERS.join(", ")}`);
      }
    }
    const raise = rule.threshold ?? ALARM_SCORE;
    if (rule.clearThreshold !== undefined && rule.clearThreshold > raise)
      add(["clearThreshold"], "must not exceed threshold");
    if (rule.detector !== SILENCE) return;
    for (const field of SCORED_ONLY) {
      if (rule[field] !== undefined) add([field], "has no meaning for silence: params.after decides");
    }
    const watch = silenceParams.safeParse(rule.params).data?.watch;
    if (watch === "device" && rule.metric !== "*")
      add(["metric"], "a silent device is about no metric: leave it out, or set params.watch: metric");
  });
export type RuleConfig = z.input<typeof ruleSchema>;

export interface Rule {
  name: string;
  /** Short hash of the definition with its defaults: a rule that means the same has the same. */
  version: string;
  matches(device: string, metric: string): boolean;
  matchesDevice(device: string): boolean;
  detector: string;
  params: unknown;
  severity: Severity;
  forMs: number;
  threshold: number;
  clearThreshold: number;
  clearAfterMs: number;
  flapping: { alerts: number; withinMs: number } | undefined;
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  activeHours: readonly ActiveHours[];
  /** Told of every verdict on a reading; for judging the rule itself. */
  observe?: (device: string, metric: string, ts: number, score: number) => void;
}

/** A rule on silence: `params` are {@link SilenceParams}. */
export interface SilenceRule extends Rule {
  params: SilenceParams;
}

export function isSilence(rule: Rule): rule is SilenceRule {
  return rule.detector === SILENCE;
}

const silenceVersions = new WeakMap<readonly Rule[], number>();

/** A number that stands for the rules on silence among these: what was computed under the same ones still holds. */
export function silenceVersion(rules: readonly Rule[]): number {
  let version = silenceVersions.get(rules);
  if (version === undefined) {
    const versions = rules.filter(isSilence).map((rule) => rule.version);
    version = hash("sha256", versions.join(), "buffer").readUInt32LE(0);
    silenceVersions.set(rules, version);
  }
  return version;
}

/**
 * The rules in force when the configuration names none. The learned detector on every series wakes somebody only at
 * four times the distance at which it calls a reading unusual (score = ratio / (1 + ratio)); and a device that has
 * sent nothing for a quarter of an hour is worth a look.
 */
export const DEFAULT_RULES: readonly RuleConfig[] = [
  { name: "anomaly", threshold: 0.8 },
  { name: "device-silent", detector: SILENCE, params: { after: "15m" } },
];

export function compileRule(config: z.output<typeof ruleSchema>): Rule {
  const { device, metric } = config;
  const threshold = config.threshold ?? ALARM_SCORE;
  const flapping = config.flapping ?? DEFAULT_FLAPPING;
  const meaning = {
    params: paramsOf(config.detector).parse(config.params),
    forMs: config.for ?? 0,
    threshold,
    clearThreshold: config.clearThreshold ?? threshold,
    clearAfterMs: config.clearAfter ?? (config.detector === "range" ? 0 : DEFAULT_CLEAR_AFTER_MS),
    flapping: flapping === false ? undefined : { alerts: flapping.alerts, withinMs: flapping.within },
    ...{ name: config.name, detector: config.detector, severity: config.severity },
    ...{ labels: config.labels, annotations: config.annotations, activeHours: config.activeHours },
  };
  return {
    ...meaning,
    version: versionOf({ ...meaning, device, metric }),
    matches: (d, m) => matchesGlob(device, d) && matchesGlob(metric, m),
    matchesDevice: (d) => matchesGlob(device, d),
  };
}

/** Either the rules, or every problem, each naming the rule and the field. */
export type CheckedRules =
  | { rules: Rule[]; problems?: undefined }
  | { rules?: undefined; problems: string[] };

/** Checks rules as they were written; `where` is the path of the list, for the messages. */
export function checkRules(configs: readonly unknown[], where: string): CheckedRules {
  const rules: Rule[] = [];
  const problems: string[] = [];
  const names = new Map<string, number>();
  for (const [i, config] of configs.entries()) {
    const parsed = ruleSchema.safeParse(config);
    const at = `${where}[${i}]${nameOf(config)}`;
    for (const issue of parsed.error?.issues ?? []) problems.push(...describe(at, issue));
    if (!parsed.data) continue;
    const { name } = parsed.data;
    if (names.has(name)) problems.push(`${at}.name: ${where}[${names.get(name)}] has this name already`);
    names.set(name, i);
    rules.push(compileRule(parsed.data));
  }
  return problems.length > 0 ? { problems } : { rules };
}

function describe(at: string, issue: z.core.$ZodIssue): string[] {
  const path = issue.path.map((key) => `.${String(key)}`).join("");
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => `${at}${path}.${key}: unknown field`);
  return [`${at}${path}: ${issue.message}`];
}

function nameOf(config: unknown): string {
  const name = (config as { name?: unknown } | null)?.name;
  return typeof name === "string" ? ` (${name.slice(0, 128)})` : "";
}

function paramsOf(detector: string): z.ZodType<unknown> {
  return detector === SILENCE ? silenceParams : detectors[detector]!.params;
}

/** 48 bits: versions of one rule are told apart, not all rules of the world. */
function versionOf(meaning: object): string {
  return hash("sha256", canonical(meaning), "hex").slice(0, 12);
}

/** JSON with its keys in order, so that the order in the file is no difference. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
