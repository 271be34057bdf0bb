/**
 * Opens the adapters that the configuration names. One of the few places that know them.
 */
import { renameSync } from "node:fs";
import { join } from "node:path";
import { type KafkaCheckpoints, openKafkaCheckpoints } from "../adapters/checkpoint/kafka/index.js";
import { outputsThenCheckpoint } from "../adapters/checkpoint/outputs-first.js";
import { openEmbeddedLog } from "../adapters/log/embedded/index.js";
import { openKafkaLog } from "../adapters/log/kafka/index.js";
import { openEmbeddedState } from "../adapters/store/embedded/index.js";
import { openInfluxStore } from "../adapters/store/influx/index.js";
import { hasCode } from "../contracts/errors.js";
import type { Checkpoints } from "../contracts/ports/checkpoint.js";
import type { Log } from "../contracts/ports/log.js";
import type { RejectedRow, Store } from "../contracts/ports/store.js";
import { TOPICS, type TopicSpec } from "../contracts/topics.js";
import { parseDurationMs, type Resolution } from "../contracts/window.js";
import { systemClock } from "../runtime/clock.js";
import type { Config } from "../runtime/config/schema.js";
import type { Logger } from "../runtime/logger.js";
import type { Registry } from "../runtime/metrics.js";
import { deadLetterRows } from "./rejected-rows.js";

export interface Plumbing {
  config: Config;
  logger: Logger;
  registry?: Registry;
}

export function openLog({ config, logger, registry }: Plumbing): Promise<Log> {
  const common = { clock: systemClock, logger, ...(registry && { registry }) };
  if (config.log === "embedded") return openEmbeddedLog({ dir: join(config.dataDir, "log"), ...common });
  const { brokers, clientId, replicationFactor, sessionTimeout } = config.kafka;
  return openKafkaLog({
    brokers,
    clientId,
    sessionTimeoutMs: sessionTimeout,
    ...(replicationFactor && { replicationFactor }),
    ...common,
  });
}

/** Where rollups go, and where the processor keeps its state. */
export interface State {
  store: Store;
  checkpoints: Checkpoints;
  close(): Promise<void>;
}

/**
 * State goes where the log is: beside the embedded log, or into changelogs on Kafka. Only the embedded pair of store
 * and state commits in one transaction; otherwise outputs are written first.
 * @throws SluiceError STATE_CORRUPT, STORE_UNAVAILABLE
 */
export function openState({ config, logger, registry }: Plumbing, log: Log): State {
  const metered = { logger, ...(registry && { registry }) };
  const needsEmbedded = config.log === "embedded" || config.store === "embedded";
  const embedded = needsEmbedded ? openEmbeddedState({ dir: stateDir(config), ...metered }) : undefined;
  if (embedded && config.log === "embedded" && config.store === "embedded") return embedded;
  const store = config.store === "embedded" ? embedded!.store : openStore({ config, ...metered });
  const onRejected = (rows: RejectedRow[]) => deadLetterRows(log, rows, systemClock.now());
  const checkpoints =
    config.log === "embedded"
      ? outputsThenCheckpoint(embedded!.checkpoints, store, { onRejected })
      : openKafkaState({ config, ...metered }).withOutputs(store, { onRejected });
  return {
    store,
    checkpoints,
    close: async () => {
      await checkpoints.close();
      await store.close();
      await embedded?.close();
    },
  };
}

function openKafkaState({ config, logger, registry }: Plumbing): KafkaCheckpoints {
  const { brokers, clientId, replicationFactor } = config.kafka;
  const copies = replicationFactor === null ? {} : { replicationFactor };
  return openKafkaCheckpoints({
    brokers,
    clientId,
    clock: systemClock,
    logger,
    ...copies,
    ...(registry && { registry }),
  });
}

/**
 * As {@link openState}, for the process that owns the state: a damaged one is set aside, and rebuilt from the log.
 * @throws SluiceError STORE_UNAVAILABLE
 */
export function openOrRebuildState(plumbing: Plumbing, log: Log): State {
  try {
    return openState(plumbing, log);
  } catch (error) {
    if (!hasCode(error, "STATE_CORRUPT")) throw error;
    const aside = `${stateDir(plumbing.config)}.corrupt-${systemClock.now()}`;
    renameSync(stateDir(plumbing.config), aside);
    plumbing.logger.error(
      { err: error, aside },
      "the state is damaged: it is set aside and rebuilt from the log",
    );
    return openState(plumbing, log);
  }
}

function stateDir(config: Config): string {
  return join(config.dataDir, "state");
}

/** The store behind the line protocol. */
export function openStore({ config, logger, registry }: Plumbing): Store {
  const { url, token, org, bucket, dialect, timeout } = config.influx;
  const connection = { url, token, org, bucket, dialect, timeoutMs: timeout };
  return openInfluxStore({ ...connection, logger, clock: systemClock, ...(registry && { registry }) });
}

export function topicSpecs(config: Config): TopicSpec[] {
  const { partitions, retention } = config.topics;
  return (Object.keys(TOPICS) as (keyof typeof TOPICS)[]).map((topic) => {
    const { time, bytes } = retention[topic];
    return {
      name: TOPICS[topic],
      partitions,
      ...(time !== null && { retentionMs: time }),
      ...(bytes !== null && { retentionBytes: bytes }),
    };
  });
}

export function resolutionsOf(config: Config): Resolution[] {
  return config.processor.resolutions.map((name) => ({ name, sizeMs: parseDurationMs(name)! }));
}
