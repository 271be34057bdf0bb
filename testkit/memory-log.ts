/**
 * The log port in memory, for simulations and fast tests: one {@link MemoryLogData} is what would be on disk, and
 * every simulated process opens it anew. It passes the log contract suite.
 *
 * `faults` is asked before and after each append takes effect: it may wait (through a clock) or throw, as a network
 * and a disk may; it may also tear an append or store it twice. A handle that was killed does nothing any more: its
 * calls never return.
 */
import { SluiceError } from "../contracts/errors.js";
import type {
  AppendRecord,
  Log,
  LogRecord,
  Offset,
  PartitionHandler,
  PartitionRange,
  ReadOptions,
  Subscription,
} from "../contracts/ports/log.js";
import type { TopicSpec } from "../contracts/topics.js";
import { MemorySubscription } from "./memory-subscription.js";

export type PartitionOf = (key: string, partitions: number) => number;

/** Asked around the effect of an operation. Throwing `before` means nothing was stored. */
export interface Faults {
  before(operation: string): Promise<void>;
  after(operation: string): Promise<void>;
  /** How many of an append's records are stored before it fails; undefined stores all. */
  torn?(records: number): number | undefined;
  /** True to store an append a second time, as a producer does that tries again by itself. */
  repeated?(): boolean;
}

export const NO_FAULTS: Faults = { before: async () => {}, after: async () => {} };

/** Most records a reader is given at once. */
const BATCH_RECORDS = 500;

interface Partition {
  earliest: Offset;
  records: LogRecord[];
}

/** The durable part: shared by all handles. */
export class MemoryLogData {
  readonly topics = new Map<string, Partition[]>();
  readonly committed = new Map<string, Offset>();
  readonly groups = new Set<string>();
  readonly #watchers = new Set<() => void>();

  partition(topic: string, partition: number): Partition {
    const found = this.topics.get(topic)?.[partition];
    if (!found) throw new SluiceError("LOG_UNKNOWN_TOPIC", `no partition ${partition} of topic ${topic}`);
    return found;
  }

  /** Records of a partition from `offset` on, at most `limit`. Offsets have no gaps here. */
  slice(topic: string, partition: number, offset: Offset, limit: number): LogRecord[] {
    const { records } = this.partition(topic, partition);
    const at = records.length === 0 ? 0 : Math.max(0, offset - records[0]!.offset);
    return records.slice(at, at + limit);
  }

  /** Every record of a topic, partition by partition. */
  records(topic: string): LogRecord[] {
    return (this.topics.get(topic) ?? []).flatMap((partition) => partition.records);
  }

  /** Deletes records below `offset`, as retention does. */
  deleteBefore(topic: string, partition: number, offset: Offset): void {
    const data = this.partition(topic, partition);
    data.records = data.records.filter((record) => record.offset >= offset);
    data.earliest = Math.max(data.earliest, offset);
  }

  store(topic: string, partition: number, record: AppendRecord): void {
    const { records, earliest } = this.partition(topic, partition);
    records.push({
      partition,
      offset: (records.at(-1)?.offset ?? earliest - 1) + 1,
      timestamp: record.timestamp,
      key: record.key ?? null,
      value: Buffer.from(record.value),
      headers: { ...record.headers },
    });
  }

  grown(): void {
    for (const wake of [...this.#watchers]) wake();
  }

  /** Resolves when something was appended anywhere, or the signal aborts. */
  growth(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#watchers.delete(wake);
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      if (signal?.aborted) return resolve();
      this.#watchers.add(wake);
      signal?.addEventListener("abort", wake, { once: true });
    });
  }
}

function anyOf(...signals: (AbortSignal | undefined)[]): AbortSignal {
  return AbortSignal.any(signals.filter((signal) => signal !== undefined));
}

export class MemoryLog implements Log {
  readonly #data: MemoryLogData;
  readonly #partitionOf: PartitionOf;
  readonly #faults: Faults;
  #appends: Promise<unknown> = Promise.resolve();
  #keyless = 0;
  #state: "open" | "closed" | "killed" = "open";
  readonly #closing = new AbortController();
  readonly #subscriptions = new Set<MemorySubscription>();

  constructor(data: MemoryLogData, partitionOf: PartitionOf, faults: Faults = NO_FAULTS) {
    this.#data = data;
    this.#partitionOf = partitionOf;
    this.#faults = faults;
  }

  /** The process of this handle is gone: an append under way has taken effect by now, or never will. */
  kill(): void {
    this.#state = "killed";
    for (const subscription of this.#subscriptions) subscription.kill();
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    await this.#usable();
    for (const spec of specs) {
      if (this.#data.topics.has(spec.name)) continue;
      const partitions = Array.from({ length: spec.partitions }, () => ({ earliest: 0, records: [] }));
      this.#data.topics.set(spec.name, partitions);
    }
  }

  append(topic: string, records: readonly AppendRecord[]): Promise<void> {
    const result = this.#appends.then(() => this.#append(topic, records));
    this.#appends = result.catch(() => undefined);
    return result;
  }

  async ranges(topic: string): Promise<PartitionRange[]> {
    await this.#usable();
    await this.#faults.before("read");
    await this.#usable();
    this.#data.partition(topic, 0);
    return this.#data.topics.get(topic)!.map(({ earliest, records }, partition) => ({
      partition,
      earliest,
      next: (records.at(-1)?.offset ?? earliest - 1) + 1,
    }));
  }

  async offsetForTime(topic: string, partition: number, timestampMs: number): Promise<Offset> {
    await this.#usable();
    const { records, earliest } = this.#data.partition(topic, partition);
    const found = records.find((record) => record.timestamp >= timestampMs);
    return found?.offset ?? (records.at(-1)?.offset ?? earliest - 1) + 1;
  }

  async *read(
    topic: string,
    partition: number,
    from: Offset,
    options: ReadOptions = {},
  ): AsyncIterable<LogRecord[]> {
    await this.#usable();
    await this.#faults.before("read");
    await this.#usable();
    const data = this.#data.partition(topic, partition);
    if (from < data.earliest) {
      throw new SluiceError(
        "LOG_OFFSET_OUT_OF_RANGE",
        `${topic}/${partition}@${from}: earliest is ${data.earliest}`,
      );
    }
    const end = options.follow
      ? Number.POSITIVE_INFINITY
      : (options.to ?? (data.records.at(-1)?.offset ?? -1) + 1);
    for (let next = from; next < end; ) {
      if (options.signal?.aborted || this.#closing.signal.aborted) return;
      const batch = this.#data.slice(topic, partition, next, Math.min(BATCH_RECORDS, end - next));
      if (batch.length > 0) {
        next = batch.at(-1)!.offset + 1;
        yield batch;
        if (this.#state === "closed") return;
        await this.#usable();
      } else if (options.follow) await this.#data.growth(anyOf(this.#closing.signal, options.signal));
      else return;
    }
  }

  async subscribe(group: string, topic: string, handler: PartitionHandler): Promise<Subscription> {
    await this.#usable();
    this.#data.partition(topic, 0);
    const lease = `${group} ${topic}`;
    if (this.#data.groups.has(lease))
      throw new SluiceError("STATE_LOCKED", `group ${group} has a member already`);
    this.#data.groups.add(lease);
    const ended = () => {
      this.#data.groups.delete(lease);
      this.#subscriptions.delete(subscription);
    };
    const partitions = this.#data.topics.get(topic)!.length;
    const subscription = new MemorySubscription(this.#data, topic, partitions, handler, ended);
    this.#subscriptions.add(subscription);
    return subscription;
  }

  async committed(group: string, topic: string, partition: number): Promise<Offset | undefined> {
    await this.#usable();
    return this.#data.committed.get(`${group} ${topic} ${partition}`);
  }

  async commit(group: string, topic: string, partition: number, offset: Offset): Promise<void> {
    await this.#usable();
    this.#data.committed.set(`${group} ${topic} ${partition}`, offset);
  }

  async check(): Promise<void> {
    await this.#usable();
    await this.#faults.before("check");
  }

  async close(): Promise<void> {
    if (this.#state !== "open") return;
    await this.#appends;
    this.#state = "closed";
    this.#closing.abort();
    for (const subscription of this.#subscriptions) await subscription.close();
  }

  async #append(topic: string, records: readonly AppendRecord[]): Promise<void> {
    await this.#usable();
    const partitions = this.#data.topics.get(topic)?.length;
    if (partitions === undefined) throw new SluiceError("LOG_UNKNOWN_TOPIC", `no topic ${topic}`);
    if (records.length === 0) return;
    await this.#faults.before("append");
    await this.#usable();
    const torn = this.#faults.torn?.(records.length);
    this.#store(topic, partitions, records, torn ?? records.length);
    if (this.#faults.repeated?.()) this.#store(topic, partitions, records, torn ?? records.length);
    if (torn !== undefined) throw new SluiceError("LOG_UNAVAILABLE", `append torn after ${torn} records`);
    await this.#faults.after("append");
    await this.#usable();
  }

  /** Stores the first `count` records in the order of their partitions, as a log does that writes one after the other. */
  #store(topic: string, partitions: number, records: readonly AppendRecord[], count: number): void {
    const keyless = this.#keyless++ % partitions;
    const placed = records.map((record) => ({
      record,
      partition: record.key === undefined ? keyless : this.#partitionOf(record.key, partitions),
    }));
    placed.sort((a, b) => a.partition - b.partition);
    for (const { record, partition } of placed.slice(0, count)) this.#data.store(topic, partition, record);
    this.#data.grown();
  }

  /** @throws SluiceError LOG_CLOSED; never returns once killed */
  async #usable(): Promise<void> {
    if (this.#state === "closed") throw new SluiceError("LOG_CLOSED", "the log is closed");
    if (this.#state === "killed") await new Promise(() => {});
  }
}
