/**
 * Makes kafkajs clients: every default that matters is stated here, and kafkajs logs through our logger.
 *
 * Owns {@link ClusterHandle}: a connection to the cluster for requests that kafkajs offers on no higher level (plain
 * fetches, group membership). Its typings expose `Cluster` to partition assigners, and that is how a handle gets hold
 * of one; the consumer made for it is never run.
 */
import kafkajs, { type Broker, type Cluster, type Kafka, type KafkaConfig, type LogEntry } from "kafkajs";
import { hasCode, SluiceError } from "../../../contracts/errors.js";
import type { Logger } from "../../../runtime/logger.js";
import { closedError, toSluiceError } from "./errors.js";

export interface KafkaClientOptions {
  /** `host:port` of some brokers; the others are found through them. */
  brokers: readonly string[];
  clientId: string;
  logger: Logger;
  ssl?: KafkaConfig["ssl"];
  sasl?: KafkaConfig["sasl"];
}

/** Kept short: whoever uses a client retries at a level where it knows what may be tried again. */
const CLIENT_RETRY = { retries: 2, initialRetryTime: 100, maxRetryTime: 1_000, factor: 0.2, multiplier: 2 };

export function createKafka(options: KafkaClientOptions): Kafka {
  const config: KafkaConfig = {
    brokers: [...options.brokers],
    clientId: options.clientId,
    connectionTimeout: 3_000,
    authenticationTimeout: 10_000,
    requestTimeout: 15_000,
    enforceRequestTimeout: true,
    retry: CLIENT_RETRY,
    logLevel: kafkaLogLevel(options.logger),
    logCreator: () => (entry) => forwardLog(options.logger, entry),
  };
  if (options.ssl !== undefined) config.ssl = options.ssl;
  if (options.sasl !== undefined) config.sasl = options.sasl;
  return new kafkajs.Kafka(config);
}

/** kafkajs puts together what it logs (whole answers, on its finest level) before anybody asks: keep it from it. */
function kafkaLogLevel(logger: Logger): number {
  if (logger.isLevelEnabled("trace")) return kafkajs.logLevel.DEBUG;
  return logger.isLevelEnabled("debug") ? kafkajs.logLevel.WARN : kafkajs.logLevel.NOTHING;
}

/**
 * kafkajs says "error" for what it is about to retry. Here an error is what reaches a caller, and the caller logs it;
 * so its errors and warnings become debug lines, and its chatter trace lines.
 */
function forwardLog(logger: Logger, entry: LogEntry): void {
  const { message, timestamp: _, logger: __, ...fields } = entry.log;
  const line = { ...fields, kafkajs: entry.namespace };
  if (entry.level === kafkajs.logLevel.ERROR || entry.level === kafkajs.logLevel.WARN)
    logger.debug(line, message);
  else logger.trace(line, message);
}

/** A {@link Broker} with the requests that kafkajs 2.2.4 has and its typings leave out. */
export interface GroupBroker extends Broker {
  joinGroup(request: {
    groupId: string;
    sessionTimeout: number;
    rebalanceTimeout: number;
    memberId: string;
    groupProtocols: { name: string; metadata: Buffer }[];
  }): Promise<{
    generationId: number;
    leaderId: string;
    memberId: string;
    members: { memberId: string; memberMetadata: Buffer }[];
  }>;
  syncGroup(request: {
    groupId: string;
    generationId: number;
    memberId: string;
    groupAssignment: { memberId: string; memberAssignment: Buffer }[];
  }): Promise<{ memberAssignment: Buffer }>;
  heartbeat(request: { groupId: string; groupGenerationId: number; memberId: string }): Promise<unknown>;
  leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>;
}

/** One partition as the cluster's metadata has it. `leader` is a node id. */
export interface PartitionInfo {
  partition: number;
  leader: number;
}

/** A lazily connected cluster: opening one never waits for a broker, and every use connects again if need be. */
export class ClusterHandle {
  readonly #kafka: Kafka;
  readonly #groupId: string;
  #current: Shared;
  /** Replaced, but some requests on them are still under way. */
  readonly #retired = new Set<Shared>();
  #closed = false;

  constructor(kafka: Kafka, groupId: string) {
    this.#kafka = kafka;
    this.#groupId = groupId;
    this.#current = { cluster: newCluster(kafka, groupId), users: 0 };
  }

  /**
   * Runs `work` on the connected cluster.
   * @throws SluiceError per {@link toSluiceError}; LOG_CLOSED after `close`
   */
  async use<T>(doing: string, work: (cluster: Cluster) => Promise<T>): Promise<T> {
    if (this.#closed) throw closedError();
    const shared = this.#current;
    shared.users++;
    try {
      await shared.cluster.connect();
      return await work(shared.cluster);
    } catch (error) {
      if (this.#closed) throw closedError();
      throw toSluiceError(error, doing);
    } finally {
      shared.users--;
      if (shared.users === 0 && this.#retired.delete(shared)) disconnect(shared);
    }
  }

  /** The partitions of a topic, from the metadata cached by kafkajs, or fresh. */
  async partitions(topic: string, options: { fresh?: boolean } = {}): Promise<PartitionInfo[]> {
    try {
      return await this.#partitions(topic, options.fresh === true);
    } catch (error) {
      if (!hasCode(error, "LOG_UNKNOWN_TOPIC")) throw error;
      // kafkajs asks for all topics it was ever asked about: another one, deleted since, may be the unknown one.
      await this.reset();
      return this.#partitions(topic, false);
    }
  }

  #partitions(topic: string, fresh: boolean): Promise<PartitionInfo[]> {
    return this.use(`metadata of ${topic}`, async (cluster) => {
      await cluster.addTargetTopic(topic);
      if (fresh) await cluster.refreshMetadata();
      else await cluster.refreshMetadataIfNecessary();
      const found = cluster.findTopicPartitionMetadata(topic);
      if (found.length === 0) throw new SluiceError("LOG_UNKNOWN_TOPIC", `there is no topic ${topic}`);
      return found
        .map((info) => ({ partition: info.partitionId, leader: info.leader }))
        .sort((a, b) => a.partition - b.partition);
    });
  }

  /** Starts afresh from the configured brokers: new connections, new metadata. Requests under way go on. */
  async reset(): Promise<void> {
    if (this.#closed) return;
    const old = this.#current;
    this.#current = { cluster: newCluster(this.#kafka, this.#groupId), users: 0 };
    if (old.users === 0) disconnect(old);
    else this.#retired.add(old);
  }

  /** Requests under way fail. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#current, ...this.#retired].map((shared) => shared.cluster.disconnect()));
    this.#retired.clear();
  }
}

interface Shared {
  cluster: Cluster;
  /** Requests under way. */
  users: number;
}

function newCluster(kafka: Kafka, groupId: string): Cluster {
  let captured: Cluster | undefined;
  kafka.consumer({
    groupId,
    allowAutoTopicCreation: false,
    partitionAssigners: [
      ({ cluster }) => {
        captured = cluster;
        return { name: "unused", version: 0, assign: async () => [], protocol: () => unusedProtocol };
      },
    ],
  });
  if (captured === undefined) throw new Error("kafkajs handed its partition assigner no cluster");
  return captured;
}

function disconnect({ cluster }: Shared): void {
  cluster.disconnect().catch(() => undefined); // thrown away because it is broken
}

const unusedProtocol = { name: "unused", metadata: Buffer.alloc(0) };
