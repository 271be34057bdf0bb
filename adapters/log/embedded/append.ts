/**
 * The write path: group commit.
 *
 * Guarantees: an append resolves after the transaction that holds all its records is durable; calls keep their
 * order in each partition. Calls that wait while a commit runs share the next one. Offsets are given out inside
 * the write transaction, so several processes may append to one log.
 *
 * Bounded: at most {@link MAX_IN_FLIGHT} groups of about `maxGroupBytes` are encoded at a time. Calls beyond that
 * hold only what their caller handed in, and wait; nothing is dropped.
 */
import { SluiceError } from "../../../contracts/errors.js";
import type { AppendRecord } from "../../../contracts/ports/log.js";
import { KeylessPartitions, partitionForKey } from "../partitioner.js";
import { BatchMemory, type EncodedBatch, encodeBatch, recordBytes, setBaseOffset } from "./encode.js";
import type { LogMetrics } from "./metrics.js";
import type { PartitionKey, Storage, StoredTopic } from "./storage.js";
import type { Topics } from "./topics.js";

/** One group is encoded while the one before it is on its way to the disk. */
const MAX_IN_FLIGHT = 2;
/** Also bounds what a reader gets at once. */
export const MAX_BATCH_RECORDS = 4096;

export interface AppendLimits {
  maxRecordBytes: number;
  maxBatchBytes: number;
  maxGroupBytes: number;
}

interface Call {
  topic: string;
  stored: StoredTopic;
  records: readonly AppendRecord[];
  sizeBytes: number;
  startedMs: number;
  resolve(): void;
  reject(error: unknown): void;
}

/** The records of one partition in a group, cut into what becomes one batch each. */
interface Target {
  topic: string;
  key: PartitionKey;
  cuts: AppendRecord[][];
  /** Size of the last cut. */
  bytes: number;
}

interface Written {
  topic: string;
  key: PartitionKey;
  batches: EncodedBatch[];
}

export class Appender {
  readonly #storage: Storage;
  readonly #topics: Topics;
  readonly #limits: AppendLimits;
  readonly #metrics: LogMetrics;
  readonly #committed: (key: PartitionKey) => void;
  readonly #keyless = new KeylessPartitions();
  readonly #memory = new BatchMemory();
  #queue: Call[] = [];
  #inFlight = 0;
  #scheduled = false;
  #idle: (() => void)[] = [];
  /** Why the last commit failed; undefined after one that worked. */
  failure: unknown;

  /** @param committed told of every partition that has new records */
  constructor(
    storage: Storage,
    topics: Topics,
    limits: AppendLimits,
    metrics: LogMetrics,
    committed: (key: PartitionKey) => void,
  ) {
    this.#storage = storage;
    this.#topics = topics;
    this.#limits = limits;
    this.#metrics = metrics;
    this.#committed = committed;
  }

  /** @throws SluiceError LOG_UNKNOWN_TOPIC, LOG_RECORD_TOO_LARGE, LOG_UNAVAILABLE, LOG_CORRUPT */
  async append(topic: string, records: readonly AppendRecord[]): Promise<void> {
    const stored = this.#topics.get(topic);
    if (records.length === 0) return;
    const sizeBytes = this.#measure(records);
    await new Promise<void>((resolve, reject) => {
      const startedMs = this.#metrics.nowMs();
      this.#queue.push({ topic, stored, records, sizeBytes, startedMs, resolve, reject });
      this.#metrics.pending(sizeBytes);
      this.#schedule();
    });
  }

  /** Resolves when everything accepted so far is done. */
  async drain(): Promise<void> {
    if (this.#inFlight === 0 && this.#queue.length === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle.push(resolve);
    });
  }

  /** The size of a call's records; a bad one fails its own call only, not those that share its commit. */
  #measure(records: readonly AppendRecord[]): number {
    const { maxRecordBytes } = this.#limits;
    let sum = 0;
    for (const record of records) {
      const size = recordBytes(record);
      if (size > maxRecordBytes) {
        throw new SluiceError(
          "LOG_RECORD_TOO_LARGE",
          `a record of ${size} bytes is above the log's limit of ${maxRecordBytes}`,
        );
      }
      if (!Number.isFinite(record.timestamp)) {
        throw new TypeError(`a record's timestamp is ${record.timestamp}`);
      }
      sum += size;
    }
    return sum;
  }

  /** Commits after the current turn, so that what it appends goes together. */
  #schedule(): void {
    if (this.#scheduled || this.#inFlight >= MAX_IN_FLIGHT) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      if (this.#queue.length > 0) void this.#commit(this.#takeGroup());
      if (this.#queue.length > 0) this.#schedule();
    });
  }

  #takeGroup(): Call[] {
    let bytes = 0;
    let calls = 0;
    while (calls < this.#queue.length && (calls === 0 || bytes < this.#limits.maxGroupBytes)) {
      bytes += this.#queue[calls++]!.sizeBytes;
    }
    const group = this.#queue.slice(0, calls);
    this.#queue = this.#queue.slice(calls);
    return group;
  }

  /** Never rejects: the outcome goes to the calls. */
  async #commit(group: Call[]): Promise<void> {
    this.#inFlight++;
    try {
      const written = this.#encode(group);
      await this.#storage.write("cannot append to the log", () => {
        for (const one of written) this.#store(one);
      });
      this.failure = undefined;
      for (const call of group) {
        this.#metrics.appended(call.topic, call.records.length, call.startedMs);
        call.resolve();
      }
      for (const { key, batches } of written) {
        this.#committed(key);
        for (const batch of batches) this.#memory.giveBack(batch);
      }
    } catch (error) {
      this.failure = error;
      for (const call of group) call.reject(error);
    }
    for (const call of group) this.#metrics.pending(-call.sizeBytes);
    this.#inFlight--;
    if (this.#queue.length > 0) this.#schedule();
    else if (this.#inFlight === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #encode(group: Call[]): Written[] {
    const targets = new Map<string, Target[]>();
    for (const call of group) this.#distribute(call, targets);
    const written: Written[] = [];
    for (const list of targets.values()) {
      for (const target of list) {
        if (target === undefined) continue;
        const batches = target.cuts.map((records) => encodeBatch(records, this.#memory));
        written.push({ topic: target.topic, key: target.key, batches });
      }
    }
    return written;
  }

  #distribute(call: Call, targets: Map<string, Target[]>): void {
    const { topic, stored, records } = call;
    let list = targets.get(topic);
    if (list === undefined) {
      list = [];
      targets.set(topic, list);
    }
    let keyless = -1;
    for (const record of records) {
      let partition: number;
      if (record.key !== undefined) partition = partitionForKey(record.key, stored.partitions);
      else {
        if (keyless === -1) keyless = this.#keyless.next(topic, stored.partitions);
        partition = keyless;
      }
      const target = list[partition];
      if (target !== undefined) this.#add(target, record);
      else
        list[partition] = {
          topic,
          key: [stored.id, partition],
          cuts: [[record]],
          bytes: recordBytes(record),
        };
    }
  }

  /** A batch has at most `maxBatchBytes` and {@link MAX_BATCH_RECORDS}, or a single record. */
  #add(target: Target, record: AppendRecord): void {
    const size = recordBytes(record);
    const last = target.cuts[target.cuts.length - 1]!;
    if (target.bytes + size > this.#limits.maxBatchBytes || last.length >= MAX_BATCH_RECORDS) {
      target.cuts.push([record]);
      target.bytes = size;
    } else {
      last.push(record);
      target.bytes += size;
    }
  }

  /** Inside the write transaction. */
  #store({ key, batches }: Written): void {
    const { batches: values, index, rises } = this.#storage;
    let { earliest, next, bytes, maxTimestamp, deletedMaxTimestamp } = this.#storage.state(key);
    for (const batch of batches) {
      setBaseOffset(batch, next);
      values.putSync([key[0], key[1], next], batch.bytes);
      index.putSync([key[0], key[1], next], [batch.count, batch.bytes.length, batch.maxTimestamp]);
      if (batch.maxTimestamp > maxTimestamp) {
        maxTimestamp = batch.maxTimestamp;
        rises.putSync([key[0], key[1], maxTimestamp], next);
      }
      next += batch.count;
      bytes += batch.bytes.length;
    }
    this.#storage.putState(key, { earliest, next, bytes, maxTimestamp, deletedMaxTimestamp });
  }
}
