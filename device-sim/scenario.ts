/**
 * A scenario: device types, what they measure, how the load runs, and what goes wrong, as one YAML document.
 */
import { parse, YAMLParseError } from "yaml";
import { z } from "zod";
import { SluiceError } from "../contracts/errors.js";
import { isName } from "../contracts/reading.js";
import { ANOMALY_KINDS } from "./anomalies.js";
import { duration } from "./duration.js";
import { modelSchema } from "./models.js";
import { faultsSchema } from "./options.js";
import { peakOf, profileSchema } from "./profile.js";

const name = z.string().refine(isName, { error: "allowed are letters, digits and . _ : -" });

const metricSchema = z.strictObject({
  /** The metric is the sum of these. */
  parts: z.array(modelSchema).min(1),
  /** The resolution of the sensor. */
  decimals: z.number().int().min(0).max(9).default(3),
  min: z.number().optional(),
  max: z.number().optional(),
  /** Fraction of readings that come without it. */
  missing: z.number().min(0).max(1).default(0),
});

const typeSchema = z.strictObject({
  devices: z.number().int().min(1).max(100_000),
  /** Between two readings of a device. */
  interval: duration,
  metrics: z
    .record(name, metricSchema)
    .refine((metrics) => Object.keys(metrics).length > 0, { error: "must have a metric" }),
  faults: faultsSchema.prefault({}),
});

const anomalySchema = z.strictObject({
  kind: z.enum(ANOMALY_KINDS),
  type: z.string(),
  /** Number of the device among those of its type. */
  device: z.number().int().min(0).default(0),
  metric: z.string(),
  /** Since the start of the run. */
  at: duration,
  lasts: duration,
  /** In the unit of the metric; see docs/simulator.md for each kind. */
  magnitude: z.number().default(0),
});

export const scenarioSchema = z
  .strictObject({
    duration: duration,
    /** `open`: readings are due at their event time. `closed`: as fast as acks allow, event times end before now. */
    pace: z.enum(["open", "closed"]).default("open"),
    profile: profileSchema.prefault({ kind: "steady" }),
    /** When every device loses its connection, and all reconnect at once. */
    storms: z.array(duration).default([]),
    types: z
      .record(name, typeSchema)
      .refine((types) => Object.keys(types).length > 0, { error: "must have a type" }),
    anomalies: z.array(anomalySchema).default([]),
  })
  .superRefine((scenario, context) => {
    const issue = (path: (string | number)[], message: string) =>
      context.addIssue({ code: "custom", path, message });
    for (const [type, { interval }] of Object.entries(scenario.types)) {
      // Each reading needs an event time of its own, and those are whole milliseconds.
      if (interval / peakOf(scenario.profile) < 1)
        issue(["types", type, "interval"], "more than 1000 readings a second");
    }
    for (const [i, { type, device, metric }] of scenario.anomalies.entries()) {
      const known = Object.hasOwn(scenario.types, type) ? scenario.types[type] : undefined;
      if (!known) issue(["anomalies", i, "type"], `there is no type ${type}`);
      else if (device >= known.devices)
        issue(["anomalies", i, "device"], `${type} has ${known.devices} devices`);
      else if (!Object.hasOwn(known.metrics, metric))
        issue(["anomalies", i, "metric"], `${type} has no metric ${metric}`);
    }
  });

export type Scenario = z.infer<typeof scenarioSchema>;
export type DeviceType = Scenario["types"][string];

/** @throws SluiceError CONFIG_INVALID with every problem and where it is */
export function parseScenario(text: string): Scenario {
  let document: unknown;
  try {
    document = parse(text);
  } catch (cause) {
    if (!(cause instanceof YAMLParseError)) throw cause;
    throw new SluiceError("CONFIG_INVALID", `the scenario is not YAML: ${cause.message}`, { cause });
  }
  const parsed = scenarioSchema.safeParse(document);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `scenario: ${path.join(".")}: ${message}`);
  throw new SluiceError("CONFIG_INVALID", problems.join("\n"));
}
