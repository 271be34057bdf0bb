/**
 * Checks of what Sluice talks to: the log and its topics, the clock against the data in it, the store.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { inspectKafka } from "../../adapters/log/kafka/inspect.js";
import { hasCode } from "../../contracts/errors.js";
import type { Log, PartitionRange } from "../../contracts/ports/log.js";
import { TOPICS } from "../../contracts/topics.js";
import type { Config } from "../../runtime/config/schema.js";
import type { Logger } from "../../runtime/logger.js";
import { openLog, openStore, topicSpecs } from "../ports.js";
import { type Finding, ok, problem, warning } from "./finding.js";
import { judgeTopics } from "./topics.js";

export interface Services {
  config: Config;
  logger: Logger;
  nowMs: number;
}

/** The log is opened only where there is one: a check makes no data folder. */
export async function checkLog(services: Services): Promise<Finding[]> {
  const { config, logger, nowMs } = services;
  const reached: Finding[] = [];
  if (config.log === "kafka") {
    const { brokers, clientId } = config.kafka;
    try {
      const options = { brokers, clientId: `${clientId}-doctor`, logger };
      const cluster = await inspectKafka(options, Object.values(TOPICS));
      reached.push(ok("log", `Kafka answers: ${cluster.brokers} brokers`));
      reached.push(...judgeTopics(cluster, topicSpecs(config), config.ingest.maxPayload));
    } catch (error) {
      const advice = `start Kafka, or correct kafka.brokers (${brokers.join(", ")}); is the advertised listener reachable from here?`;
      return [problem("log", (error as Error).message, advice)];
    }
  } else if (!existsSync(join(config.dataDir, "log"))) {
    return [ok("log", `${join(config.dataDir, "log")} is made at the start`), judgeClock(undefined, nowMs)];
  }
  try {
    const log = await openLog({ config, logger });
    try {
      await log.check();
      if (config.log === "embedded") reached.push(ok("log", `${join(config.dataDir, "log")} can be opened`));
      return [...reached, judgeClock(await newestRecordMs(log), nowMs)];
    } finally {
      await log.close();
    }
  } catch (error) {
    const advice = "look at the message; a damaged log is restored from a backup";
    return [...reached, problem("log", (error as Error).message, advice)];
  }
}

/** Kafka's offsets have gaps: the last record may be some before the end. */
const TAIL_RECORDS = 10;

/** When the newest reading came in, epoch milliseconds. */
async function newestRecordMs(log: Log): Promise<number | undefined> {
  const newest: number[] = [];
  for (const { partition, earliest, next } of await rangesOrNone(log)) {
    if (next === earliest) continue;
    const from = Math.max(earliest, next - TAIL_RECORDS);
    for await (const records of log.read(TOPICS.readings, partition, from, { to: next }))
      newest.push(...records.map((record) => record.timestamp));
  }
  return newest.length === 0 ? undefined : Math.max(...newest);
}

async function rangesOrNone(log: Log): Promise<PartitionRange[]> {
  try {
    return await log.ranges(TOPICS.readings);
  } catch (error) {
    if (hasCode(error, "LOG_UNKNOWN_TOPIC")) return [];
    throw error;
  }
}

/** No clock that is right shows less. */
const EARLIEST_MS = Date.UTC(2025, 0, 1);
const TOLERANCE_MS = 5_000;

/** @param newestMs when the newest reading in the log came in, by the clock of the gateway that took it */
export function judgeClock(newestMs: number | undefined, nowMs: number): Finding {
  const advice = "synchronise the clock (chrony, systemd-timesyncd) before Sluice starts";
  const now = new Date(nowMs).toISOString();
  if (nowMs < EARLIEST_MS) return problem("clock", `it says ${now}`, advice);
  if (newestMs === undefined) return ok("clock", `it says ${now}; no reading to compare with`);
  const aheadMs = newestMs - nowMs;
  if (aheadMs > TOLERANCE_MS) {
    const found = `it says ${now}, but a reading came in at ${new Date(newestMs).toISOString()}`;
    return problem("clock", `${found}: this clock, or another gateway's, is wrong`, advice);
  }
  return ok(
    "clock",
    `it says ${now}; the newest reading came in ${Math.max(0, Math.round(-aheadMs / 1000))} s ago`,
  );
}

export async function checkStore({ config, logger }: Services): Promise<Finding> {
  if (config.store === "embedded") return ok("store", "embedded, in the data folder");
  const store = openStore({ config, logger });
  try {
    await store.check();
    return tokenMissing(config) ?? ok("store", `${config.influx.url} answers`);
  } catch (error) {
    const advice = "start it, or correct influx.url, influx.token, influx.org and influx.bucket";
    return problem("store", (error as Error).message, advice);
  } finally {
    await store.close();
  }
}

function tokenMissing({ influx }: Config): Finding | undefined {
  if (influx.dialect !== "influxdb" || influx.token !== "") return undefined;
  return warning("store", `${influx.url} answers, but influx.token is empty`, "set SLUICE_INFLUX_TOKEN");
}
