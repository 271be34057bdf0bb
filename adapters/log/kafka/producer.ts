/**
 * Appends with acks from all in-sync replicas, through idempotent kafkajs producers.
 *
 * Order: each partition has a queue, and at most one request in flight. What arrives meanwhile goes together with
 * the next one. Requests are made per leader ({@link Lane}): all of its partitions that have something waiting.
 * kafkajs's own concurrency would lose order.
 *
 * Failure: kafkajs tries again (SEND_RETRY in lane.ts), then every append that had records in the request is
 * rejected, and with it every append queued behind one of its records, in whichever partition: nothing overtakes an
 * append that its caller will make again. Callers that wait for each append see only their own; a caller with
 * several under way gets them rejected in order and appends them again in order.
 *
 * After a failure the producer is discarded: kafkajs would give the sequence numbers of a lost request, which the
 * broker may have stored after all, to other records, and the broker would take those for repeats and drop them.
 *
 * Bounds: `maxPendingBytes` accepted and not acknowledged; beyond it, `append` waits in order of arrival.
 */
import type { Kafka } from "kafkajs";
import { SluiceError } from "../../../contracts/errors.js";
import type { AppendRecord } from "../../../contracts/ports/log.js";
import type { Logger } from "../../../runtime/logger.js";
import { KeylessPartitions, partitionForKey } from "../partitioner.js";
import type { ClusterHandle, PartitionInfo } from "./client.js";
import { closedError, toSluiceError } from "./errors.js";
import { type Flight, Lane } from "./lane.js";
import type { KafkaMetrics } from "./metrics.js";
import { type Append, PartitionQueue, sizeOf } from "./queue.js";

export interface ProducerOptions {
  kafka: Kafka;
  control: ClusterHandle;
  logger: Logger;
  metrics: KafkaMetrics;
  maxRecordBytes: number;
  lingerMs: number;
  /** Accepted and not acknowledged: more has to wait. */
  maxPendingBytes: number;
}

interface TopicState {
  partitions: PartitionInfo[];
  queues: PartitionQueue[];
}

/** An append that has not got to the queues yet: metadata is missing, or there is no room. */
interface Waiting {
  append: Append;
  records: readonly AppendRecord[];
}

export class Appender {
  readonly #options: ProducerOptions;
  readonly #keyless = new KeylessPartitions();
  readonly #topics = new Map<string, TopicState>();
  /** Topics that were there at some time. */
  readonly #seen = new Set<string>();
  readonly #lanes = new Map<number, Lane>();
  /** In order of arrival, per topic. */
  readonly #arrivals = new Map<string, Waiting[]>();
  readonly #pending = new Set<Promise<void>>();
  #roomWaiters: (() => void)[] = [];
  #pendingBytes = 0;
  #closed = false;

  constructor(options: ProducerOptions) {
    this.#options = options;
  }

  /** @throws SluiceError LOG_UNAVAILABLE, LOG_CLOSED, LOG_UNKNOWN_TOPIC, LOG_RECORD_TOO_LARGE */
  append(topic: string, records: readonly AppendRecord[]): Promise<void> {
    if (this.#closed) return Promise.reject(closedError());
    const tooLarge = records.find((record) => sizeOf(record) > this.#options.maxRecordBytes);
    if (tooLarge !== undefined) {
      const text = `a record of ${sizeOf(tooLarge)} bytes is above the limit of ${this.#options.maxRecordBytes}`;
      return Promise.reject(new SluiceError("LOG_RECORD_TOO_LARGE", text));
    }
    const done = new Promise<void>((resolve, reject) => {
      const append: Append = { remaining: records.length, failed: false, resolve, reject };
      this.#arrive(topic, { append, records });
    });
    const tracked = done.catch(() => undefined); // for close(); the caller has `done`
    this.#pending.add(tracked);
    void tracked.then(() => this.#pending.delete(tracked));
    return done;
  }

  /** Finishes what was accepted, then disconnects. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#pending);
    await Promise.all([...this.#lanes.values()].map((lane) => lane.close()));
  }

  #arrive(topic: string, waiting: Waiting): void {
    const queue = this.#arrivals.get(topic);
    if (queue !== undefined) {
      queue.push(waiting);
      return;
    }
    const state = this.#topics.get(topic);
    if (state !== undefined && this.#hasRoom()) {
      this.#enqueue(topic, state, waiting);
      return;
    }
    this.#arrivals.set(topic, [waiting]);
    void this.#admit(topic);
  }

  /** Brings arrivals into the queues in order. Without metadata all that wait fail together. */
  async #admit(topic: string): Promise<void> {
    const waiting = this.#arrivals.get(topic)!;
    while (waiting.length > 0) {
      try {
        const state = this.#topics.get(topic) ?? (await this.#load(topic));
        // One that failed in the meantime has taken the rest with it.
        if (this.#hasRoom()) this.#enqueue(topic, state, waiting.shift());
        else await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
      } catch (error) {
        this.#turnAway(topic, this.#explain(error, [topic]));
      }
    }
    this.#arrivals.delete(topic);
  }

  /** Rejects what has not got to the queues of the topic yet. */
  #turnAway(topic: string, reason: SluiceError): void {
    for (const { append } of this.#arrivals.get(topic)?.splice(0) ?? []) append.reject(reason);
  }

  async #load(topic: string): Promise<TopicState> {
    const partitions = await this.#options.control.partitions(topic, { fresh: true });
    const known = this.#topics.get(topic)?.queues ?? [];
    const queues = partitions.map(
      ({ partition }) => known[partition] ?? new PartitionQueue(topic, partition),
    );
    const state = { partitions, queues };
    this.#topics.set(topic, state);
    this.#seen.add(topic);
    return state;
  }

  #enqueue(topic: string, state: TopicState, waiting: Waiting | undefined): void {
    if (waiting === undefined) return;
    const { append, records } = waiting;
    if (records.length === 0) append.resolve();
    const count = state.queues.length;
    let spread: number | undefined;
    const keyless = () => {
      spread ??= this.#keyless.next(topic, count);
      return spread;
    };
    const touched = new Set<number>();
    for (const record of records) {
      const partition = record.key === undefined ? keyless() : partitionForKey(record.key, count);
      this.#addBytes(state.queues[partition]!.push(append, record));
      touched.add(state.partitions[partition]!.leader);
    }
    for (const leader of touched) this.#lane(leader).wake();
  }

  #lane(leader: number): Lane {
    let lane = this.#lanes.get(leader);
    if (lane === undefined) {
      const { kafka, logger, metrics, lingerMs } = this.#options;
      lane = new Lane({
        ...{ kafka, logger, metrics, lingerMs },
        ready: () => this.#queuesOf(leader),
        delivered: (flight) => this.#delivered(flight),
        failed: (flight, error) => this.#failed(flight, error),
      });
      this.#lanes.set(leader, lane);
    }
    return lane;
  }

  /** The queues of the leader's partitions with something to send and nothing in flight. */
  #queuesOf(leader: number): PartitionQueue[] {
    const ready: PartitionQueue[] = [];
    for (const { partitions, queues } of this.#topics.values()) {
      for (const info of partitions) {
        const queue = queues[info.partition]!;
        if (info.leader === leader && queue.canSend) ready.push(queue);
      }
    }
    return ready;
  }

  #delivered(flight: Flight): void {
    for (const { queue, slice } of flight.parts) {
      this.#addBytes(-slice.sizeBytes);
      this.#options.metrics.appendedRecords.inc({ topic: queue.topic }, slice.records.length);
      queue.landed();
      for (const { append } of slice.records) {
        append.remaining--;
        if (append.remaining === 0 && !append.failed) append.resolve();
      }
    }
    this.#wakeLanes(flight);
  }

  async #failed(flight: Flight, error: unknown): Promise<void> {
    if (this.#split(flight, error)) {
      this.#wakeLanes(flight);
      return;
    }
    const topics = new Set(flight.parts.map((part) => part.queue.topic));
    const reason = this.#explain(error, [...topics]);
    const appends = new Set<Append>();
    for (const { queue, slice } of flight.parts) {
      const behind = queue.cutAll();
      this.#addBytes(-slice.sizeBytes - behind.sizeBytes);
      queue.landed();
      for (const { append } of slice.records) appends.add(append);
      for (const append of behind.appends) appends.add(append);
    }
    this.#reject(appends, reason);
    for (const topic of topics) this.#turnAway(topic, reason);
    await Promise.all([...topics].map((topic) => this.#reload(topic)));
    for (const lane of this.#lanes.values()) lane.wake();
  }

  /**
   * Too large, although each record is legal: the topic's own limit is lower. Unless a single record is to blame, the
   * records go back to the front of their queues, which then send less at a time and one queue at a time.
   */
  #split(flight: Flight, error: unknown): boolean {
    if (toSluiceError(error, "").code !== "LOG_RECORD_TOO_LARGE") return false;
    if (flight.parts.length === 1 && flight.parts[0]!.slice.records.length === 1) return false;
    for (const { queue, slice } of flight.parts) queue.putBack(slice);
    return true;
  }

  /** Rejects the appends, and all behind them in any queue, and theirs, until nothing stands behind a rejected one. */
  #reject(appends: Set<Append>, reason: SluiceError): void {
    const all = [...this.#topics.values()].flatMap((state) => state.queues);
    for (let grew = true; grew; ) {
      grew = false;
      for (const queue of all) {
        const cut = queue.cutFrom(appends);
        this.#addBytes(-cut.sizeBytes);
        for (const append of cut.appends) {
          if (appends.has(append)) continue;
          appends.add(append);
          grew = true;
        }
      }
    }
    for (const append of appends) {
      append.failed = true;
      append.reject(reason);
    }
  }

  /** A topic that was there and is unknown now is an outage to the caller: a broker that starts says so for a while. */
  #explain(error: unknown, topics: readonly string[]): SluiceError {
    const reason = toSluiceError(error, `appending to ${topics.join(", ")}`);
    if (reason.code !== "LOG_UNKNOWN_TOPIC" || !topics.some((topic) => this.#seen.has(topic))) return reason;
    return new SluiceError("LOG_UNAVAILABLE", reason.message, { cause: reason });
  }

  /** Leaders may have moved. When that cannot be found out now, the next append does it. */
  async #reload(topic: string): Promise<void> {
    try {
      await this.#load(topic);
    } catch (error) {
      this.#options.logger.warn({ err: error, topic }, "could not refresh the metadata of a topic");
      const state = this.#topics.get(topic);
      // Queues with records in flight elsewhere must stay known.
      if (state?.queues.every((queue) => queue.isIdle)) this.#topics.delete(topic);
    }
  }

  /** Where a partition's leader moved while its request was under way, another lane goes on with it. */
  #wakeLanes(flight: Flight): void {
    for (const { queue } of flight.parts) {
      const info = this.#topics.get(queue.topic)?.partitions[queue.partition];
      if (info !== undefined && queue.canSend) this.#lane(info.leader).wake();
    }
  }

  #hasRoom(): boolean {
    return this.#pendingBytes < this.#options.maxPendingBytes;
  }

  #addBytes(bytes: number): void {
    this.#pendingBytes += bytes;
    this.#options.metrics.pendingBytes.set(this.#pendingBytes);
    if (!this.#hasRoom() || this.#roomWaiters.length === 0) return;
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const resume of waiters) resume();
  }
}
