/**
 * Changelog topics: compacted topics with one writer per partition, and what of kafkajs is needed to use them.
 *
 * A changelog has as many partitions as the topic whose processing it keeps the state of. Reads bring committed
 * records only, through fetch.ts, which does not rely on kafkajs's filter for aborted transactions.
 */
import type { Kafka, KafkaConfig } from "kafkajs";
import { SluiceError } from "../../../contracts/errors.js";
import type { Clock } from "../../../contracts/ports/clock.js";
import type { LogRecord, Offset, PartitionRange } from "../../../contracts/ports/log.js";
import type { Logger } from "../../../runtime/logger.js";
import type { Counter } from "../../../runtime/metrics.js";
import { ClusterHandle, createKafka } from "./client.js";
import { toSluiceError } from "./errors.js";
import { range } from "./offsets.js";
import { readPartition } from "./reader.js";
import { createTopics } from "./topics.js";
import { TransactionalProducer } from "./transactional.js";

export interface ChangelogOptions {
  brokers: readonly string[];
  clientId: string;
  clock: Clock;
  logger: Logger;
  reconnects: Counter<"client">;
  ssl?: KafkaConfig["ssl"];
  sasl?: KafkaConfig["sasl"];
  replicationFactor?: number;
}

/**
 * A segment is compacted only once it is full or old: small ones keep a changelog near the size of the state. The
 * limit of a batch is stated, so that a broker's own default cannot be lower than what transactional.ts sends.
 */
const SETTINGS = {
  "cleanup.policy": "compact",
  "compression.type": "producer",
  "segment.bytes": String(16 << 20),
  "segment.ms": String(3_600_000),
  "min.cleanable.dirty.ratio": "0.3",
  "max.message.bytes": String((1 << 20) + 12),
};

export class KafkaChangelogs {
  readonly #options: ChangelogOptions;
  readonly #kafka: Kafka;
  readonly #control: ClusterHandle;
  readonly #closing = new AbortController();
  readonly #ensured = new Map<string, Promise<number>>();

  constructor(options: ChangelogOptions) {
    this.#options = options;
    this.#kafka = createKafka(options);
    this.#control = new ClusterHandle(this.#kafka, `${options.clientId}-checkpoints`);
  }

  /** Aborted by `close`. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /**
   * Creates the changelog of `inputTopic` if it is not there. `partition` is the one to be used.
   * @throws SluiceError CONFIG_INVALID when it has another partition count than the input, LOG_UNKNOWN_TOPIC
   * when there is no input topic, LOG_UNAVAILABLE
   */
  async ensure(changelog: string, inputTopic: string, partition: number): Promise<void> {
    const partitions = await this.#once(changelog, inputTopic);
    if (partition < partitions) return;
    // The input has more partitions than when it was looked at.
    this.#ensured.delete(changelog);
    await this.#once(changelog, inputTopic);
  }

  /** Offsets [earliest, next) of committed records. @throws SluiceError LOG_UNAVAILABLE */
  range(changelog: string, partition: number): Promise<PartitionRange> {
    return range(this.#control, changelog, partition);
  }

  /** Committed records from `from` to the end as of now; removed keys have an empty value. */
  read(changelog: string, partition: number, from: Offset): AsyncIterable<LogRecord[]> {
    const { clientId, clock, logger, reconnects } = this.#options;
    const context = { kafka: this.#kafka, clientId, clock, logger, metrics: { reconnects } };
    return readPartition({ ...context, closing: this.closing }, changelog, partition, from, {});
  }

  /** Fences the previous writer of the partition. @throws SluiceError LOG_UNAVAILABLE */
  openProducer(topic: string, partition: number): Promise<TransactionalProducer> {
    const { clock, logger } = this.#options;
    const transactionalId = `${topic}/${partition}`;
    return TransactionalProducer.open({
      kafka: this.#kafka,
      clock,
      logger,
      transactionalId,
      topic,
      partition,
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#control.close();
  }

  #once(changelog: string, inputTopic: string): Promise<number> {
    let ensured = this.#ensured.get(changelog);
    if (ensured === undefined) {
      ensured = this.#ensure(changelog, inputTopic);
      this.#ensured.set(changelog, ensured);
      ensured.catch(() => this.#ensured.delete(changelog)); // reported to the caller; tried again next time
    }
    return ensured;
  }

  /** @returns the partition count of both */
  async #ensure(changelog: string, inputTopic: string): Promise<number> {
    const partitions = (await this.#control.partitions(inputTopic, { fresh: true })).length;
    await this.#create(changelog, partitions);
    const has = (await this.#control.partitions(changelog, { fresh: true })).length;
    if (has !== partitions) {
      const text = `changelog ${changelog} has ${has} partitions, its input ${inputTopic} has ${partitions}`;
      throw new SluiceError(
        "CONFIG_INVALID",
        `${text}: stop the group and delete the changelog to rebuild it`,
      );
    }
    return has;
  }

  async #create(changelog: string, partitions: number): Promise<void> {
    const { clock, logger, replicationFactor } = this.#options;
    const context = { kafka: this.#kafka, control: this.#control, clock, logger, replicationFactor };
    const admin = this.#kafka.admin();
    try {
      await admin.connect();
      if ((await admin.listTopics()).includes(changelog)) return;
      await createTopics(context, admin, [{ name: changelog, partitions }], () => SETTINGS);
    } catch (error) {
      throw toSluiceError(error, `creating ${changelog}`);
    } finally {
      await admin.disconnect();
    }
  }
}
