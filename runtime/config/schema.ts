/**
 * The configuration: one schema with every setting, its default and its meaning.
 *
 * Sources, later ones win: defaults, the YAML file, `SLUICE_...` environment variables, flags. Guarantee: a
 * {@link Config} is complete and checked; an unknown key is an error that names the path and the nearest known key.
 * The descriptions are the reference in docs/configuration.md and the help of every flag.
 */
import { z } from "zod";
import { DEFAULT_RESOLUTIONS } from "../../contracts/window.js";
import { count, durationMs, port, resolutionNames, sizeBytes } from "./values.js";

const retention = (what: string, time = "14d") =>
  z
    .strictObject({
      time: durationMs
        .nullable()
        .default(() => durationMs.parse(time))
        .describe(`${what} older than this are deleted (by ingest time); null keeps them for ever`),
      bytes: sizeBytes
        .nullable()
        .default(null)
        .describe(`the oldest ${what} are deleted while a partition is larger than this; null for no limit`),
    })
    .prefault({});

export const configSchema = z.strictObject({
  dataDir: z.string().min(1).default("sluice-data").describe("folder of the embedded log, state and store"),
  mqtt: z
    .strictObject({
      host: z.string().default("127.0.0.1").describe("address the MQTT port binds to"),
      port: port.default(1883).describe("MQTT port; 0 takes a free one"),
    })
    .prefault({}),
  http: z
    .strictObject({
      host: z.string().default("127.0.0.1").describe("address the HTTP port binds to"),
      port: port.default(8080).describe("port of the API and the live page; 0 takes a free one"),
    })
    .prefault({}),
  security: z
    .strictObject({
      allowAnonymous: z
        .boolean()
        .default(false)
        .describe("serve clients without credentials; needed to bind anything but loopback"),
    })
    .prefault({}),
  log: z
    .enum(["embedded", "kafka"])
    .default("embedded")
    .describe("where records are kept: embedded or kafka"),
  kafka: z
    .strictObject({
      brokers: z
        .array(z.string().min(1))
        .min(1)
        .default(["127.0.0.1:9092"])
        .describe("some brokers of the cluster, host:port, comma separated"),
      clientId: z
        .string()
        .min(1)
        .default("sluice")
        .describe("name of this process in the broker's logs and quotas"),
      sessionTimeout: durationMs
        .default(10_000)
        .describe(
          "a processor that is silent for so long is taken for dead, and its partitions go to others",
        ),
      replicationFactor: count
        .nullable()
        .default(null)
        .describe("copies of each partition; null takes 3, or the number of brokers when there are fewer"),
    })
    .prefault({}),
  topics: z
    .strictObject({
      partitions: count.max(1_000).default(4).describe("partitions of a topic when it is created"),
      retention: z
        .strictObject({
          readings: retention("readings"),
          invalid: retention("dead letters"),
          late: retention("late readings"),
          rollups: retention("rollup records (the store keeps its own)"),
          alerts: retention("alert records", "365d"),
        })
        .prefault({}),
    })
    .prefault({}),
  store: z.enum(["embedded", "influx"]).default("embedded").describe("where rollups go: embedded or influx"),
  influx: z
    .strictObject({
      url: z.url().default("http://127.0.0.1:8086").describe("base URL of the line protocol server"),
      token: z.string().default("").describe("API token"),
      org: z.string().default("sluice").describe("organisation"),
      bucket: z.string().default("telemetry").describe("bucket"),
      dialect: z
        .enum(["influxdb", "questdb"])
        .default("influxdb")
        .describe("what answers behind the line protocol: influxdb or questdb"),
      timeout: durationMs.default(10_000).describe("longest wait for one request"),
    })
    .prefault({}),
  ingest: z
    .strictObject({
      maxPayload: sizeBytes.default(256 * 1024).describe("largest payload; a larger one is a dead letter"),
      maxDepth: count.default(8).describe("deepest nesting of a payload"),
      maxValuesPerReading: count.default(256).describe("most values of one reading"),
      maxBatchReadings: count.default(1_000).describe("most readings of one batch"),
      maxStringLength: count.default(1_024).describe("longest string value"),
      maxClockSkew: durationMs
        .default(300_000)
        .describe("a device time further ahead of the gateway's clock is a dead letter"),
      minTs: z
        .int()
        .nonnegative()
        .default(946_684_800_000)
        .describe("a device time before this (epoch milliseconds; 2000-01-01) is a dead letter"),
      maxInflightPerClient: count.default(64).describe("messages of one client that are not acked yet"),
      maxInflightMessages: count.default(20_000).describe("messages of all clients that are not acked yet"),
      maxInflightBytes: sizeBytes.default(64 * 1024 ** 2).describe("bytes of those messages"),
    })
    .prefault({}),
  processor: z
    .strictObject({
      group: z
        .string()
        .min(1)
        .default("sluice-processor")
        .describe("consumer group; processors of one group share the partitions"),
      resolutions: resolutionNames
        .default(DEFAULT_RESOLUTIONS.map((resolution) => resolution.name))
        .describe("window sizes of the rollups, finest first; each divides the next"),
      allowedLateness: durationMs
        .default(600_000)
        .describe("readings this far behind their device's latest still correct their windows"),
      commitInterval: durationMs.default(1_000).describe("how often results become durable and visible"),
      maxRecordsPerCommit: count.default(100_000).describe("a commit comes earlier after this many records"),
      maxDevicesInMemory: count.default(100_000).describe("devices whose state is held in memory"),
    })
    .prefault({}),
  alerts: z
    .strictObject({
      rules: z
        .array(z.record(z.string(), z.unknown()))
        .nullable()
        .default(null)
        .describe("alert rules; without any here or in rulesFile, the default rules apply"),
      rulesFile: z
        .string()
        .min(1)
        .nullable()
        .default(null)
        .describe("YAML file with a list rules, taken up again whenever it changes; instead of alerts.rules"),
      publish: z.boolean().default(true).describe("publish alerts to MQTT on alerts/{deviceId}"),
    })
    .prefault({}),
  notifications: z
    .record(z.string(), z.unknown())
    .nullable()
    .default(null)
    .describe("who is told of alerts, and how; nobody when absent"),
  logLevel: z
    .enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"])
    .default("info")
    .describe("fatal, error, warn, info, debug, trace or silent"),
});

export type Config = z.output<typeof configSchema>;
