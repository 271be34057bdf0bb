/**
 * The embedded log: the log port on LMDB, for running without a broker.
 *
 * Guarantees: an append resolves after an fsync holds it; a crash loses nothing that was acknowledged and leaves
 * nothing torn; several processes of one machine may append to and read one directory at once. Offsets start at 0
 * and have no gaps. Not for network file systems.
 */
import { SluiceError } from "../../../contracts/errors.js";
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
import { Appender } from "./append.js";
import { acquireLease } from "./lease.js";
import { LogMetrics } from "./metrics.js";
import { Reader } from "./read.js";
import { Retention } from "./retention.js";
import { type PartitionKey, Storage } from "./storage.js";
import { EmbeddedSubscription } from "./subscription.js";
import { Topics } from "./topics.js";
import { Wakeups } from "./wakeups.js";

export interface EmbeddedLogOptions {
  /** Directory of the log; created when missing. */
  dir: string;
  clock: Clock;
  logger: Logger;
  registry?: Registry;
  /** How often a reader that waits at the end looks for appends of other processes. */
  pollMs?: number;
  /** How often retention is applied. */
  retentionIntervalMs?: number;
  /** Largest record: value, key and headers, and some bytes of bookkeeping. */
  maxRecordBytes?: number;
  /** Records of one commit and partition are stored together up to this size. */
  maxBatchBytes?: number;
  /** About how much one commit takes. */
  maxGroupBytes?: number;
}

/** The log port, and what only the embedded log can do. */
export interface EmbeddedLog extends Log {
  /** Applies every topic's retention now. Resolves with the number of deleted records. */
  applyRetention(): Promise<number>;
  /** Deletes the stored batches that end at or below `offset`. Resolves with the number of deleted records. */
  deleteBefore(topic: string, partition: number, offset: Offset): Promise<number>;
}

/** @throws SluiceError LOG_CORRUPT, LOG_UNAVAILABLE */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<EmbeddedLog> {
  return new LmdbLog(options);
}

class LmdbLog implements EmbeddedLog {
  readonly #storage: Storage;
  readonly #topics: Topics;
  readonly #wakeups: Wakeups;
  readonly #appender: Appender;
  readonly #reader: Reader;
  readonly #retention: Retention;
  readonly #logger: Logger;
  readonly #subscriptions = new Set<Subscription>();
  readonly #stop = new AbortController();
  readonly #retaining: Promise<void>;
  /** Writes other than appends; they are awaited before the environment closes. */
  readonly #writes = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;
  #closed = false;

  constructor(options: EmbeddedLogOptions) {
    const {
      dir,
      clock,
      logger,
      registry,
      pollMs = 25,
      retentionIntervalMs = 60_000,
      maxRecordBytes = 1024 * 1024,
      maxBatchBytes = 512 * 1024,
      maxGroupBytes = 8 * 1024 * 1024,
    } = options;
    this.#logger = logger;
    this.#storage = new Storage(dir, logger);
    this.#topics = new Topics(this.#storage);
    this.#wakeups = new Wakeups(this.#storage, clock, pollMs);
    const metrics = new LogMetrics(clock, registry, () => this.#bytesByTopic());
    const limits = { maxRecordBytes, maxBatchBytes, maxGroupBytes };
    this.#appender = new Appender(this.#storage, this.#topics, limits, metrics, (key) =>
      this.#wakeups.wake(key),
    );
    this.#reader = new Reader(this.#storage, this.#wakeups);
    this.#retention = new Retention(this.#storage, this.#topics, clock, metrics);
    this.#retaining = this.#retention.run(retentionIntervalMs, logger, this.#stop.signal);
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    await this.#write(() => this.#topics.ensure(specs));
  }

  async append(topic: string, records: readonly AppendRecord[]): Promise<void> {
    this.#assertOpen();
    await this.#appender.append(topic, records);
  }

  async ranges(topic: string): Promise<PartitionRange[]> {
    this.#assertOpen();
    const { id, partitions } = this.#topics.get(topic);
    return Array.from({ length: partitions }, (_, partition) => ({
      partition,
      ...this.#range([id, partition]),
    }));
  }

  async offsetForTime(topic: string, partition: number, timestampMs: number): Promise<Offset> {
    this.#assertOpen();
    return this.#reader.offsetForTime(this.#topics.partition(topic, partition), timestampMs, () =>
      this.#assertOpen(),
    );
  }

  async *read(
    topic: string,
    partition: number,
    from: Offset,
    options: ReadOptions = {},
  ): AsyncGenerator<LogRecord[], void, undefined> {
    this.#assertOpen();
    const key = this.#topics.partition(topic, partition);
    yield* this.#reader.read(key, from, options, () => this.#assertOpen());
  }

  async subscribe(group: string, topic: string, handler: PartitionHandler): Promise<Subscription> {
    this.#assertOpen();
    const { id, partitions } = this.#topics.get(topic);
    const release = await this.#write(() => this.#join(group, topic));
    const subscription = new EmbeddedSubscription(
      {
        group,
        topic,
        partitions,
        range: (partition) => this.#range([id, partition]),
        read: (partition, from, signal) => this.read(topic, partition, from, { follow: true, signal }),
        release,
      },
      handler,
      this.#logger,
    );
    this.#subscriptions.add(subscription);
    const forget = () => this.#subscriptions.delete(subscription);
    subscription.done.then(forget, forget);
    return subscription;
  }

  async #join(group: string, topic: string): Promise<() => Promise<void>> {
    const release = await acquireLease(this.#storage, group, topic);
    if (this.#closing === undefined) return release;
    await release();
    throw new SluiceError("LOG_CLOSED", "the log is closing");
  }

  async committed(group: string, topic: string, partition: number): Promise<Offset | undefined> {
    this.#assertOpen();
    this.#storage.refresh();
    return this.#storage.groups.get([group, topic, partition]);
  }

  async commit(group: string, topic: string, partition: number, offset: Offset): Promise<void> {
    this.#topics.partition(topic, partition);
    await this.#write(() =>
      this.#storage.write("cannot commit an offset", () => {
        this.#storage.groups.putSync([group, topic, partition], offset);
      }),
    );
  }

  async check(): Promise<void> {
    this.#assertOpen();
    if (this.#appender.failure === undefined) return;
    // The last append failed: only another write can tell whether the cause is gone.
    await this.#write(() => this.#storage.probe());
    this.#appender.failure = undefined;
  }

  async applyRetention(): Promise<number> {
    return this.#write(() => this.#retention.apply());
  }

  async deleteBefore(topic: string, partition: number, offset: Offset): Promise<number> {
    return this.#write(() => this.#retention.deleteBefore(topic, partition, offset));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Handlers may still append and commit while their subscriptions end. */
  async #close(): Promise<void> {
    this.#stop.abort();
    await Promise.all([...this.#subscriptions].map((subscription) => subscription.close()));
    this.#closed = true;
    await this.#retaining;
    await this.#wakeups.close();
    await this.#appender.drain();
    await Promise.allSettled(this.#writes);
    await this.#storage.close();
  }

  #range(key: PartitionKey): { earliest: Offset; next: Offset } {
    this.#assertOpen();
    this.#storage.refresh();
    const { earliest, next } = this.#storage.state(key);
    return { earliest, next };
  }

  #bytesByTopic(): Map<string, number> {
    const sizes = new Map<string, number>();
    if (this.#closed) return sizes;
    for (const { name, topic } of this.#topics.all()) {
      let bytes = 0;
      for (let partition = 0; partition < topic.partitions; partition++) {
        bytes += this.#storage.state([topic.id, partition]).bytes;
      }
      sizes.set(name, bytes);
    }
    return sizes;
  }

  async #write<T>(work: () => Promise<T>): Promise<T> {
    this.#assertOpen();
    const running = work();
    this.#writes.add(running);
    try {
      return await running;
    } finally {
      this.#writes.delete(running);
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new SluiceError("LOG_CLOSED", "the log is closed");
  }
}
