/**
 * The log port: durable, partitioned, retained, replayable topics. Two adapters (embedded, Kafka) pass one
 * contract suite, `testkit/contracts/log-suite.ts`.
 *
 * Guarantees asked of an adapter:
 * - `append` resolves only when every record is durable (fsync, or acks=all), and keeps the order of calls per
 *   partition. A rejected append may or may not have stored records: the caller appends again, readers drop the
 *   repeat by identity.
 * - Offsets of a partition rise; a record's offset never changes. They may have gaps (Kafka transactions).
 * - A key always maps to the same partition (murmur2, as Kafka's Java client), while the partition count stays.
 */
import type { TopicSpec } from "../topics.js";

/** Position in a partition. Safe to 2^53. */
export type Offset = number;

export interface AppendRecord {
  /** UTF-8 text; absent spreads records over the partitions. */
  key?: string;
  value: Uint8Array;
  headers?: Record<string, string>;
  /** Record time, epoch milliseconds; what `offsetForTime` looks up. */
  timestamp: number;
}

export interface LogRecord {
  partition: number;
  offset: Offset;
  timestamp: number;
  key: string | null;
  /** Valid until the next batch is asked for: copy what must outlive it. */
  value: Uint8Array;
  headers: Record<string, string>;
}

/** Retained interval of a partition: offsets [earliest, next). */
export interface PartitionRange {
  partition: number;
  earliest: Offset;
  next: Offset;
}

export interface ReadOptions {
  /** Stop before this offset; without it, stop at the end as it was when the read began. */
  to?: Offset;
  /** Go on at the end and wait for new records until the signal aborts (then `to` is not allowed). */
  follow?: boolean;
  signal?: AbortSignal;
}

/** What a consumer group member does with its partitions. Calls for one partition never overlap. */
export interface PartitionHandler {
  /** The partition is ours: restore, then say from which offset to read. */
  assigned(partition: number): Promise<Offset>;
  /** Records in offset order. The next batch comes when the promise resolves: this is the back-pressure. */
  batch(partition: number, records: LogRecord[]): Promise<void>;
  /** The partition goes away. `lost`: somebody else may own it already, so write nothing. */
  revoked(partition: number, why: "closing" | "rebalanced" | "lost"): Promise<void>;
  /** Retention overtook us: [wanted, earliest) is gone. Reading goes on at `earliest`. */
  fellBehind(partition: number, wanted: Offset, earliest: Offset): void;
}

export interface Subscription {
  /** Resolves when the subscription ended; rejects with what ended it. */
  readonly done: Promise<void>;
  /** Offsets read but not yet handled, summed over the assigned partitions. */
  lag(): Promise<number>;
  assigned(): number[];
  close(): Promise<void>;
}

export interface Log {
  /** Creates what is missing. An existing topic keeps its partition count; retention is brought up to date. */
  ensureTopics(specs: readonly TopicSpec[]): Promise<void>;
  /**
   * Appends durably. Records of one partition keep their order, also across calls.
   * @throws SluiceError LOG_UNAVAILABLE (try again), LOG_CLOSED, LOG_UNKNOWN_TOPIC, LOG_RECORD_TOO_LARGE, ABORTED
   */
  append(topic: string, records: readonly AppendRecord[]): Promise<void>;
  /** @throws SluiceError LOG_UNKNOWN_TOPIC, LOG_UNAVAILABLE */
  ranges(topic: string): Promise<PartitionRange[]>;
  /** The first offset whose record time is at or after `timestampMs`; the end when there is none. */
  offsetForTime(topic: string, partition: number, timestampMs: number): Promise<Offset>;
  /**
   * Reads one partition in order, in batches.
   * @throws SluiceError LOG_OFFSET_OUT_OF_RANGE when `from` is below the retained range
   */
  read(topic: string, partition: number, from: Offset, options?: ReadOptions): AsyncIterable<LogRecord[]>;
  /** Joins a consumer group: partitions are shared among its members. */
  subscribe(group: string, topic: string, handler: PartitionHandler): Promise<Subscription>;
  /** The group's committed offset: the next one to read. */
  committed(group: string, topic: string, partition: number): Promise<Offset | undefined>;
  commit(group: string, topic: string, partition: number, offset: Offset): Promise<void>;
  /** Cheap: rejects with LOG_UNAVAILABLE when an append could not be expected to work. */
  check(): Promise<void>;
  close(): Promise<void>;
}
