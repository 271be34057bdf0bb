/**
 * The configuration: one schema with every setting, its default and its meaning.
 *
 * Sources, later ones win: defaults, the YAML file, `SLUICE_...` environment variables, flags. Guarantee: a
 * {@link Config} is complete and checked; an unknown key is an error that names the path and the nearest known key.
 */
import { z } from "zod";
import { DEFAULT_RESOLUTIONS, parseDurationMs } from "../../contracts/window.js";

const port = z.int().min(0).max(65_535);
const count = z.int().positive();

/** Text such as `10m` in the file; milliseconds in the program. */
const durationMs = z.union([z.string(), z.number()]).transform((value, context) => {
  const ms = typeof value === "number" ? value : parseDurationMs(value);
  if (ms !== undefined && Number.isSafeInteger(ms) && ms >= 0) return ms;
  context.addIssue({
    code: "custom",
    message: `${JSON.stringify(value)} is not a duration such as 30s, 10m or 14d`,
  });
  return z.NEVER;
});

const SIZE_UNITS: Record<string, number> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/** Text such as `64MiB` in the file; bytes in the program. */
const sizeBytes = z.union([z.string(), z.number()]).transform((value, context) => {
  const match = /^(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|TiB)$/.exec(String(value));
  const bytes =
    typeof value === "number" ? value : match ? Number(match[1]) * SIZE_UNITS[match[2]!]! : Number.NaN;
  if (Number.isSafeInteger(bytes) && bytes >= 0) return bytes;
  context.addIssue({
    code: "custom",
    message: `${JSON.stringify(value)} is not a size such as 512KiB, 64MiB or 2GiB`,
  });
  return z.NEVER;
});

const retention = z.strictObject({
  /** Records older than this go; `null` keeps them for ever. */
  time: durationMs.nullable().default(14 * 86_400_000),
  /** Oldest records go while a partition is larger than this; `null` for no limit. */
  bytes: sizeBytes.nullable().default(null),
});

const resolutions = z
  .array(z.string())
  .min(1)
  .default(DEFAULT_RESOLUTIONS.map((resolution) => resolution.name))
  .superRefine((names, context) => {
    const sizes = names.map((name) => parseDurationMs(name));
    sizes.forEach((size, i) => {
      const finer = sizes[i - 1];
      if (size === undefined || size <= 0) {
        context.addIssue({
          code: "custom",
          path: [i],
          message: `"${names[i]}" is not a window size such as 10s or 1h`,
        });
      } else if (i > 0 && finer !== undefined && (size <= finer || size % finer !== 0)) {
        context.addIssue({ code: "custom", path: [i], message: `must be a multiple of ${names[i - 1]}` });
      }
    });
  });

export const configSchema = z.strictObject({
  /** Everything the embedded log, state and store keep. */
  dataDir: z.string().min(1).default("sluice-data"),
  mqtt: z.strictObject({ host: z.string().default("127.0.0.1"), port: port.default(1883) }).prefault({}),
  http: z.strictObject({ host: z.string().default("127.0.0.1"), port: port.default(8080) }).prefault({}),
  security: z
    .strictObject({
      /** Clients need no credentials. Must be said by name before anything but loopback is bound. */
      allowAnonymous: z.boolean().default(false),
    })
    .prefault({}),
  log: z.enum(["embedded", "kafka"]).default("embedded"),
  kafka: z
    .strictObject({
      brokers: z.array(z.string().min(1)).min(1).default(["127.0.0.1:9092"]),
      clientId: z.string().min(1).default("sluice"),
      /** Copies of each partition; `null` takes 3, or the number of brokers when there are fewer. */
      replicationFactor: count.nullable().default(null),
    })
    .prefault({}),
  topics: z
    .strictObject({
      /** Partitions of a topic when it is created. Devices are spread over them by key. */
      partitions: count.max(1_000).default(4),
      retention: z
        .strictObject({
          readings: retention.prefault({}),
          invalid: retention.prefault({}),
          late: retention.prefault({}),
          rollups: retention.prefault({}),
          alerts: retention.prefault({ time: "365d" }),
        })
        .prefault({}),
    })
    .prefault({}),
  store: z.enum(["embedded", "influx"]).default("embedded"),
  influx: z
    .strictObject({
      url: z.url().default("http://127.0.0.1:8086"),
      token: z.string().default(""),
      org: z.string().default("sluice"),
      bucket: z.string().default("telemetry"),
      /** What answers behind the line protocol: decides how queries are written. */
      dialect: z.enum(["influxdb", "questdb"]).default("influxdb"),
      timeout: durationMs.default(10_000),
    })
    .prefault({}),
  ingest: z
    .strictObject({
      maxPayload: sizeBytes.default(256 * 1024),
      maxDepth: count.default(8),
      maxValuesPerReading: count.default(256),
      maxBatchReadings: count.default(1_000),
      maxStringLength: count.default(1_024),
      /** A device time further ahead of the gateway's clock than this is a dead letter. */
      maxClockSkew: durationMs.default(300_000),
      /** A device time before this (epoch milliseconds) is a dead letter: 2000-01-01. */
      minTs: z.int().nonnegative().default(946_684_800_000),
      maxInflightPerClient: count.default(64),
      maxInflightMessages: count.default(20_000),
      maxInflightBytes: sizeBytes.default(64 * 1024 ** 2),
    })
    .prefault({}),
  processor: z
    .strictObject({
      group: z.string().min(1).default("sluice-processor"),
      resolutions,
      allowedLateness: durationMs.default(600_000),
      commitInterval: durationMs.default(1_000),
      maxRecordsPerCommit: count.default(100_000),
      maxDevicesInMemory: count.default(100_000),
    })
    .prefault({}),
  alerts: z
    .strictObject({
      /** Checked where rules are compiled; without any, the learned detector watches every series. */
      rules: z.array(z.record(z.string(), z.unknown())).nullable().default(null),
      /** Publish alerts to MQTT on `alerts/{deviceId}`. */
      publish: z.boolean().default(true),
    })
    .prefault({}),
  logLevel: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
});

export type Config = z.output<typeof configSchema>;
