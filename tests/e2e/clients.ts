/**
 * MQTT clients and views of a running Sluice for end-to-end tests: a device that publishes, and what came of it.
 */
import { connectAsync, type IClientOptions, type MqttClient } from "mqtt";
import { openEmbeddedLog } from "../../adapters/log/embedded/index.js";
import type { Log } from "../../contracts/ports/log.js";
import type { ReadingRecord } from "../../contracts/reading.js";
import type { Rollup } from "../../contracts/rollup.js";
import { TOPICS } from "../../contracts/topics.js";
import { systemClock } from "../../runtime/clock.js";
import { createLogger } from "../../runtime/logger.js";
import type { Sluice, Workspace } from "./harness.js";
import { until } from "./harness.js";

export interface Message {
  ts?: number;
  seq?: number;
  boot?: string;
  values: Record<string, unknown>;
}

/** A client that does nothing by itself: no reconnect, no re-send. Closed with the workspace. */
export async function client(
  space: Workspace,
  sluice: Sluice,
  options: IClientOptions = {},
): Promise<MqttClient> {
  const mqtt = await connectAsync(sluice.mqttUrl, { reconnectPeriod: 0, ...options });
  mqtt.on("error", () => {}); // a killed server; what follows is what the test looks at
  space.onClose(() => mqtt.endAsync(true));
  return mqtt;
}

/** Publishes one message; resolves with its ack. */
export async function publish(
  mqtt: MqttClient,
  device: string,
  message: Message | string,
  qos: 0 | 1 | 2 = 1,
): Promise<void> {
  const payload = typeof message === "string" ? message : JSON.stringify(message);
  await mqtt.publishAsync(`devices/${device}/telemetry`, payload, { qos });
}

export type Window = Omit<Rollup, "device" | "metric" | "resolution">;

export async function rollups(
  sluice: Sluice,
  query: { device: string; metric: string; resolution?: string; from?: number; to?: number },
): Promise<Window[]> {
  const { resolution = "10s", from = 0, to = Date.now() + 86_400_000, device, metric } = query;
  const search = new URLSearchParams({ device, metric, resolution, from: `${from}`, to: `${to}` });
  return (await sluice.getJson<{ rollups: Window[] }>(`/api/v1/rollups?${search}`)).rollups;
}

/** Waits until the windows of a series hold `count` readings in all; returns them. */
export function windowsWith(
  sluice: Sluice,
  count: number,
  device: string,
  metric: string,
): Promise<Window[]> {
  return until(`${count} readings in the rollups of ${device} ${metric}`, async () => {
    const windows = await rollups(sluice, { device, metric });
    return total(windows) >= count ? windows : undefined;
  });
}

export function total(windows: readonly Window[]): number {
  return windows.reduce((sum, { count }) => sum + count, 0);
}

/** Every counter of `/api/v1/stats`. */
export interface Stats {
  received: number;
  readings: number;
  invalid: number;
  invalidByReason: Record<string, number>;
  processed: number;
  duplicates: number;
  late: number;
  uncommitted: number;
  /** Open MQTT connections, and messages not acked yet. */
  connections: number;
  inFlight: number;
}

export function stats(sluice: Sluice): Promise<Stats> {
  return sluice.getJson<Stats>("/api/v1/stats");
}

/** Waits until all that is in the log is processed and committed: a reading lost or counted twice shows by then. */
export async function settled(sluice: Sluice, log: Log): Promise<Stats> {
  const ranges = await log.ranges(TOPICS.readings);
  const records = ranges.reduce((sum, { earliest, next }) => sum + next - earliest, 0);
  return until(`the processor to commit all ${records} records`, async () => {
    const now = await stats(sluice);
    return now.processed >= records && now.uncommitted === 0 ? now : undefined;
  });
}

/** Opens the embedded log of a workspace beside the Sluice that writes it; closed with the workspace. */
export async function embeddedLog(space: Workspace): Promise<Log> {
  const log = await openEmbeddedLog({
    dir: `${space.dataDir}/log`,
    clock: systemClock,
    logger: createLogger("error"),
  });
  space.onClose(() => log.close());
  return log;
}

/** Every reading in the log, in partition and offset order. */
export async function readings(log: Log): Promise<ReadingRecord[]> {
  const found: ReadingRecord[] = [];
  for (const { partition, earliest } of await log.ranges(TOPICS.readings)) {
    for await (const batch of log.read(TOPICS.readings, partition, earliest)) {
      for (const { value } of batch) found.push(JSON.parse(Buffer.from(value).toString()) as ReadingRecord);
    }
  }
  return found;
}
