/**
 * The shapes of every answer, as zod schemas. `/openapi.json` is made from them, handlers are typed by them, and
 * tests hold real answers against them, so that the three cannot drift apart.
 *
 * Times are epoch milliseconds throughout.
 */
import { z } from "zod";
import { REASON_CODES } from "../contracts/errors.js";
import { API_ERROR_CODES } from "./errors.js";

const epochMs = (what: string) => z.number().describe(`${what}, epoch milliseconds`);

export const errorSchema = z
  .object({
    error: z.object({
      code: z.enum(API_ERROR_CODES),
      message: z.string().describe("One sentence for a person"),
    }),
  })
  .describe("Every answer that is not a success");

export const healthSchema = z.object({ status: z.literal("ok"), uptimeS: z.number() });

export const readinessSchema = z.object({
  ok: z.boolean(),
  checks: z.array(z.object({ name: z.string(), ok: z.boolean(), detail: z.string() })),
});

export const infoSchema = z.object({
  name: z.literal("sluice"),
  now: epochMs("The gateway's clock"),
  mqttPort: z
    .number()
    .int()
    .nullable()
    .describe("Where devices connect; null when this process takes no MQTT"),
  resolutions: z.array(z.object({ name: z.string(), sizeMs: z.number() })).describe("Finest first"),
});

export const statsSchema = z
  .record(z.string(), z.unknown())
  .describe("Flat counters and gauges of the gateway and the processors, and `now`, the time they were read");

export const deviceSchema = z.object({
  device: z.string(),
  lastTs: epochMs("Latest event time"),
  lastIngestTs: epochMs("Ingest time of the latest reading"),
  readings: z.number().int().describe("Distinct readings so far"),
  latest: z.record(z.string(), z.number()).describe("Latest value of each metric, by event time"),
  metrics: z.array(z.string()).describe("Names of the metrics, sorted"),
});

export const deviceListSchema = z.object({ devices: z.array(deviceSchema) });

const rollupFields = {
  start: epochMs("Window start"),
  count: z.number().int(),
  min: z.number(),
  max: z.number(),
  sum: z.number(),
  mean: z.number(),
  first: z.number(),
  last: z.number(),
  p50: z.number(),
  p95: z.number(),
  p99: z.number(),
  revision: z.number().int().describe("Rises whenever the window changes"),
};

export const rollupRowSchema = z.object(rollupFields);

export const rollupSchema = z.object({
  device: z.string(),
  metric: z.string(),
  resolution: z.string(),
  ...rollupFields,
});

export const rollupListSchema = z.object({
  device: z.string(),
  metric: z.string(),
  resolution: z.string(),
  from: epochMs("First window start that was asked for"),
  to: epochMs("End of the interval, exclusive"),
  rollups: z.array(rollupRowSchema).describe("Earliest first"),
  truncated: z.boolean().describe("There are more: ask again from `nextFrom`"),
  nextFrom: z.number().nullable().describe("The next `from` when truncated, else null"),
});

export const alertSchema = z.object({
  v: z.literal(1),
  id: z.string(),
  state: z.enum(["firing", "resolved"]),
  rule: z.string(),
  severity: z.enum(["info", "warning", "critical"]),
  device: z.string(),
  metric: z.string(),
  startedAt: epochMs("Event time of the reading that raised it"),
  updatedAt: epochMs("Event time of the latest transition"),
  resolvedAt: epochMs("Event time of the reading that cleared it").optional(),
  value: z.number().describe("The value that caused the latest transition"),
  score: z.number().describe("Most extreme score since it was raised, 0..1"),
  detector: z.string(),
  threshold: z.number().describe("The score or level the value was held against"),
  expected: z.number().optional(),
  lower: z.number().optional(),
  upper: z.number().optional(),
  summary: z.string().describe("One sentence for the person who is woken"),
  ruleVersion: z.string().optional().describe("Short hash of the rule's definition at the time"),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional().describe("Texts of the rule, filled in"),
  firedAt: epochMs(
    "When it had held for as long as the rule asks; absent when that was startedAt",
  ).optional(),
  corrected: z.literal(true).optional().describe("Late readings changed the interval"),
  correctedStartedAt: epochMs("Where the interval begins by what came late").optional(),
  flapping: z.literal(true).optional().describe("It stays until it has been quiet for a while"),
  endedBy: z.literal("rule removed").optional().describe("Why it ended, where no reading cleared it"),
  readings: z
    .array(z.tuple([z.number(), z.number()]))
    .optional()
    .describe("The latest readings when it fired: [epoch milliseconds, value]"),
  related: z
    .array(
      z.object({
        metric: z.string(),
        rule: z.string(),
        ts: epochMs("Event time of the reading that scored"),
        value: z.number(),
        score: z.number(),
        alarm: z.boolean(),
      }),
    )
    .optional()
    .describe("Other series of the device that were unusual at about the same time"),
  before: z
    .object({ count: z.number().int(), lastStartedAt: epochMs("Start of the latest of them").optional() })
    .optional()
    .describe("Earlier alerts of this rule on this series"),
});

export const alertListSchema = z.object({ alerts: z.array(alertSchema) });

export const deadLetterSchema = z.object({
  id: z.string(),
  reason: z.enum(REASON_CODES),
  detail: z.string(),
  topic: z.string().describe("The MQTT topic it came in on"),
  clientId: z.string().optional(),
  deviceId: z.string().optional(),
  index: z.number().int().optional().describe("Position in a batch array"),
  ingestTs: epochMs("When it came in"),
  partition: z.number().int(),
  offset: z.number().int(),
  payload: z.string().describe("Raw bytes as base64, cut to 16 KiB"),
  text: z.string().nullable().describe("The same bytes as text; null when they are not UTF-8"),
  payloadBytes: z.number().int().describe("Length of the payload as it was sent"),
  retriedAt: epochMs("When it was retried and became readings").optional(),
});

export const deadLetterListSchema = z.object({
  deadLetters: z.array(deadLetterSchema).describe("Newest first"),
  unreadable: z.number().int().describe("Records among them that are not dead letters of version 1"),
});

/** Data of the events of the stream, by event name. */
export const streamEventSchemas = {
  rollups: z.object({ rollups: z.array(rollupSchema) }),
  alert: z.object({ alert: alertSchema }),
  devices: z.object({ devices: z.array(deviceSchema) }),
  stats: statsSchema,
  reconnect: z.object({ reason: z.enum(["slow", "closing"]) }),
};

export type ApiDevice = z.output<typeof deviceSchema>;
export type ApiDeviceList = z.output<typeof deviceListSchema>;
export type ApiRollupRow = z.output<typeof rollupRowSchema>;
export type ApiRollupList = z.output<typeof rollupListSchema>;
export type ApiAlert = z.output<typeof alertSchema>;
export type ApiAlertList = z.output<typeof alertListSchema>;
export type ApiDeadLetter = z.output<typeof deadLetterSchema>;
export type ApiDeadLetterList = z.output<typeof deadLetterListSchema>;
export type ApiInfo = z.output<typeof infoSchema>;
export type ApiReadiness = z.output<typeof readinessSchema>;
export type ApiStats = z.output<typeof statsSchema>;
