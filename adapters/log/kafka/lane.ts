/**
 * The way to one leader: one request at a time, with everything that its partitions have waiting, through a producer
 * of its own. One at a time costs nothing, since kafkajs lets an idempotent producer have no more to one broker.
 */
import type { Kafka, Message, Producer } from "kafkajs";
import type { AppendRecord } from "../../../contracts/ports/log.js";
import type { Logger } from "../../../runtime/logger.js";
import { toSluiceError } from "./errors.js";
import type { KafkaMetrics } from "./metrics.js";
import type { PartitionQueue, Slice } from "./queue.js";

/** One request: a slice of each of some partitions. */
export interface Flight {
  parts: { queue: PartitionQueue; slice: Slice }[];
}

export interface LaneOptions {
  kafka: Kafka;
  logger: Logger;
  metrics: KafkaMetrics;
  /** Waits so long for more to go together. 0 sends at once, with what the previous request let pile up. */
  lingerMs: number;
  /** Queues of this leader that can send. */
  ready(): PartitionQueue[];
  delivered(flight: Flight): void;
  failed(flight: Flight, error: unknown): Promise<void>;
}

/** About 8 s in all: longer than the election of a new leader, shorter than a client's patience. */
export const SEND_RETRY = {
  retries: 7,
  initialRetryTime: 100,
  maxRetryTime: 2_000,
  factor: 0.2,
  multiplier: 2,
};
/** How long a leader waits for the other replicas. */
const ACK_TIMEOUT_MS = 10_000;
const MAX_FLIGHT_BYTES = 8 << 20;

export class Lane {
  readonly #options: LaneOptions;
  #producer: Producer | undefined;
  #running: Promise<void> | undefined;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /** Something may be there to send. */
  wake(): void {
    this.#running ??= this.#run();
  }

  /** Called when nothing waits any more. */
  async close(): Promise<void> {
    await this.#running;
    await this.#discard();
  }

  async #run(): Promise<void> {
    // Appends made in the same turn go together.
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#options.lingerMs > 0)
      await new Promise((resolve) => setTimeout(resolve, this.#options.lingerMs));
    for (let queues = this.#options.ready(); queues.length > 0; queues = this.#options.ready()) {
      const flight = load(queues);
      try {
        await this.#send(flight);
      } catch (error) {
        await this.#discard();
        await this.#options.failed(flight, error);
        continue;
      }
      this.#options.delivered(flight);
    }
    this.#running = undefined;
  }

  async #send(flight: Flight): Promise<void> {
    const producer = await this.#connected();
    const byTopic = new Map<string, Message[]>();
    for (const { queue, slice } of flight.parts) {
      const messages = byTopic.get(queue.topic) ?? [];
      byTopic.set(queue.topic, messages);
      for (const { record } of slice.records) messages.push(toMessage(record, queue.partition));
    }
    await producer.sendBatch({
      acks: -1,
      timeout: ACK_TIMEOUT_MS,
      topicMessages: [...byTopic].map(([topic, messages]) => ({ topic, messages })),
    });
  }

  async #connected(): Promise<Producer> {
    if (this.#producer !== undefined) return this.#producer;
    const producer = this.#options.kafka.producer({
      idempotent: true,
      allowAutoTopicCreation: false,
      retry: SEND_RETRY,
      // The partition was chosen before the record was queued.
      createPartitioner:
        () =>
        ({ message }) =>
          message.partition!,
    });
    this.#producer = producer;
    await producer.connect();
    return producer;
  }

  /** Never reuses a producer that failed: see producer.ts. */
  async #discard(): Promise<void> {
    const producer = this.#producer;
    this.#producer = undefined;
    if (producer === undefined) return;
    try {
      await producer.disconnect();
    } catch (error) {
      this.#options.logger.warn(
        { err: toSluiceError(error, "disconnecting") },
        "could not disconnect a producer",
      );
    }
  }
}

function load(queues: readonly PartitionQueue[]): Flight {
  const flight: Flight = { parts: [] };
  let sizeBytes = 0;
  const suspect = queues.find((queue) => queue.suspect);
  for (const queue of suspect === undefined ? queues : [suspect]) {
    if (sizeBytes >= MAX_FLIGHT_BYTES) break;
    const slice = queue.take();
    sizeBytes += slice.sizeBytes;
    flight.parts.push({ queue, slice });
  }
  return flight;
}

/**
 * kafkajs finds a batch's first and last time by sorting them as text. With equally many digits that is right; else
 * the broker would look up times in the wrong batches.
 */
const TIMESTAMP_DIGITS = 16;

function toMessage(record: AppendRecord, partition: number): Message {
  const { buffer, byteOffset, length } = record.value;
  const message: Message = {
    partition,
    key: record.key ?? null,
    value: Buffer.from(buffer as ArrayBuffer, byteOffset, length),
    timestamp: String(record.timestamp).padStart(TIMESTAMP_DIGITS, "0"),
  };
  if (record.headers !== undefined) message.headers = record.headers;
  return message;
}
