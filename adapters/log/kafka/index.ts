/**
 * The log port on Kafka 4 through kafkajs. The only folder that imports kafkajs.
 *
 * Opening waits for no broker: while none answers, operations reject with LOG_UNAVAILABLE, and work again as soon as
 * one does. Reads and subscriptions see committed records only.
 */
import type { KafkaConfig } from "kafkajs";
import { hasCode, SluiceError } from "../../../contracts/errors.js";
import type { Clock } from "../../../contracts/ports/clock.js";
import type {
  AppendRecord,
  Log,
  LogRecord,
  Offset,
  PartitionHandler,
  PartitionRange,
  ReadOptions,
  Subscription,
} from "../../../contracts/ports/log.js";
import type { TopicSpec } from "../../../contracts/topics.js";
import type { Logger } from "../../../runtime/logger.js";
import type { Registry } from "../../../runtime/metrics.js";
import { ClusterHandle, createKafka } from "./client.js";
import { closedError } from "./errors.js";
import type { GroupTimes } from "./membership.js";
import { type KafkaMetrics, kafkaMetrics } from "./metrics.js";
import { commit, committed, type GroupContext, NO_MEMBER, offsetForTime, ranges } from "./offsets.js";
import { Appender } from "./producer.js";
import { readPartition } from "./reader.js";
import { KafkaSubscription } from "./subscription.js";
import { ensureTopics } from "./topics.js";

export interface KafkaLogOptions {
  /** `host:port` of some brokers of the cluster. */
  brokers: readonly string[];
  /** Names this process in the broker's logs and quotas. */
  clientId: string;
  clock: Clock;
  logger: Logger;
  registry?: Registry;
  ssl?: KafkaConfig["ssl"];
  sasl?: KafkaConfig["sasl"];
  /** Copies of each partition of topics that are created. Default: 3, or as many as there are brokers. */
  replicationFactor?: number;
  /** How long an append waits for others to go along. Default 0: what arrives during a request goes together. */
  lingerMs?: number;
  /** Largest record, key and headers included. Default 900,000: under a broker's default of 1 MiB for a batch. */
  maxRecordBytes?: number;
  /** Bytes accepted for appending and not acknowledged; more has to wait. Default 64 MiB. */
  maxPendingBytes?: number;
  /** A member silent for so long is out of its consumer group. Default 30,000. */
  sessionTimeoutMs?: number;
  /** How soon a member notices that its group changes. Default 1,000. */
  heartbeatIntervalMs?: number;
}

const DEFAULT_MAX_RECORD_BYTES = 900_000;
const DEFAULT_MAX_PENDING_BYTES = 64 << 20;
const DEFAULT_SESSION_TIMEOUT_MS = 30_000;
const DEFAULT_HEARTBEAT_INTERVAL_MS = 1_000;
const REBALANCE_TIMEOUT_MS = 60_000;
const CHECK_LIMIT_MS = 2_000;

/** Opens the log. Connects when it is used; resolves at once. */
export async function openKafkaLog(options: KafkaLogOptions): Promise<Log> {
  return new KafkaLog(options);
}

class KafkaLog implements Log {
  readonly #options: KafkaLogOptions;
  readonly #logger: Logger;
  readonly #metrics: KafkaMetrics;
  readonly #times: GroupTimes;
  readonly #kafka;
  readonly #control: ClusterHandle;
  readonly #groups: GroupContext;
  readonly #appender: Appender;
  readonly #subscriptions = new Set<KafkaSubscription>();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(options: KafkaLogOptions) {
    this.#options = options;
    this.#logger = options.logger.child({ module: "kafka-log" });
    this.#metrics = kafkaMetrics(options.registry);
    this.#times = {
      sessionTimeoutMs: options.sessionTimeoutMs ?? DEFAULT_SESSION_TIMEOUT_MS,
      heartbeatIntervalMs: options.heartbeatIntervalMs ?? DEFAULT_HEARTBEAT_INTERVAL_MS,
      rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
    };
    this.#kafka = createKafka({ ...options, logger: this.#logger });
    this.#control = new ClusterHandle(this.#kafka, `${options.clientId}-control`);
    this.#groups = { cluster: this.#control, clock: options.clock };
    this.#appender = new Appender({
      kafka: this.#kafka,
      control: this.#control,
      logger: this.#logger,
      metrics: this.#metrics,
      maxRecordBytes: options.maxRecordBytes ?? DEFAULT_MAX_RECORD_BYTES,
      lingerMs: options.lingerMs ?? 0,
      maxPendingBytes: options.maxPendingBytes ?? DEFAULT_MAX_PENDING_BYTES,
    });
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    this.#assertOpen();
    const { replicationFactor } = this.#options;
    const context = {
      kafka: this.#kafka,
      control: this.#control,
      clock: this.#options.clock,
      logger: this.#logger,
    };
    await ensureTopics({ ...context, replicationFactor }, specs);
  }

  async append(topic: string, records: readonly AppendRecord[]): Promise<void> {
    this.#assertOpen();
    const end = this.#metrics.appendSeconds.startTimer();
    await this.#appender.append(topic, records);
    end();
  }

  async ranges(topic: string): Promise<PartitionRange[]> {
    this.#assertOpen();
    return ranges(this.#control, topic);
  }

  async offsetForTime(topic: string, partition: number, timestampMs: number): Promise<Offset> {
    this.#assertOpen();
    return offsetForTime(this.#control, topic, partition, timestampMs);
  }

  async *read(
    topic: string,
    partition: number,
    from: Offset,
    options: ReadOptions = {},
  ): AsyncGenerator<LogRecord[], void, undefined> {
    this.#assertOpen();
    const context = {
      ...{ kafka: this.#kafka, clientId: this.#options.clientId, clock: this.#options.clock },
      ...{ logger: this.#logger, metrics: this.#metrics, closing: this.#closing.signal },
    };
    yield* readPartition(context, topic, partition, from, options);
  }

  async subscribe(group: string, topic: string, handler: PartitionHandler): Promise<Subscription> {
    this.#assertOpen();
    await this.#control.partitions(topic); // the topic exists and a broker answers
    this.#assertOpen();
    const subscription = new KafkaSubscription({
      ...{ group, topic, handler, clock: this.#options.clock, metrics: this.#metrics, times: this.#times },
      logger: this.#logger.child({ group, topic }),
      groupCluster: new ClusterHandle(this.#kafka, group),
      dataCluster: new ClusterHandle(this.#kafka, group),
      control: this.#control,
    });
    this.#subscriptions.add(subscription);
    const forget = () => this.#subscriptions.delete(subscription);
    subscription.done.then(forget, forget);
    return subscription;
  }

  async committed(group: string, topic: string, partition: number): Promise<Offset | undefined> {
    this.#assertOpen();
    return committed(this.#groups, group, topic, partition);
  }

  /**
   * In the name of the subscription of this process that has the partition; else, while the group has no members
   * anywhere, in nobody's.
   * @throws SluiceError FENCED when the partition is another member's, LOG_UNAVAILABLE
   */
  async commit(group: string, topic: string, partition: number, offset: Offset): Promise<void> {
    // Not only while open: the last commits come from handlers that let go of their partitions.
    const ours = [...this.#subscriptions].filter((one) => one.group === group && one.topic === topic);
    const owner = ours.find((one) => one.owns(partition));
    if (owner !== undefined) return owner.commit(partition, offset);
    this.#assertOpen();
    if (ours.length > 0) {
      throw new SluiceError(
        "FENCED",
        `no subscription here has partition ${partition} of ${topic} in ${group}`,
      );
    }
    await commit(this.#groups, NO_MEMBER, { group, topic, partition, offset });
  }

  async check(): Promise<void> {
    this.#assertOpen();
    const limit = new AbortController();
    const late = this.#options.clock.sleep(CHECK_LIMIT_MS, limit.signal).then(() => {
      throw new SluiceError("LOG_UNAVAILABLE", `no Kafka broker answered within ${CHECK_LIMIT_MS} ms`);
    });
    const answer = this.#control
      .use("asking for metadata", (cluster) => cluster.refreshMetadata())
      .catch(async (error: unknown) => {
        // Some topic was deleted: the broker answered, and the next look-up is not to ask for that topic again.
        if (!hasCode(error, "LOG_UNKNOWN_TOPIC")) throw error;
        await this.#control.reset();
      });
    try {
      await Promise.race([answer, late]);
    } finally {
      limit.abort();
      late.catch(() => undefined); // aborted
      answer.catch(() => undefined); // told by the race, or too late to matter
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Reads end; subscriptions let go of their partitions, and may commit until then; accepted appends finish. */
  async #close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#subscriptions].map((subscription) => subscription.close()));
    await this.#appender.close();
    await this.#control.close();
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw closedError();
  }
}
