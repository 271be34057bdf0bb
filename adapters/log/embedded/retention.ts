/**
 * Retention: deletes the oldest batches of a partition, whole, by age and by size.
 *
 * Guarantees: the partition's next offset survives the deletion of all its records; a batch goes only when every
 * record in it is older than the limit, or when the partition without it still holds `retentionBytes`. Deletes
 * in small transactions, so that appends get their turn.
 */
import type { Clock } from "../../../contracts/ports/clock.js";
import type { Offset } from "../../../contracts/ports/log.js";
import type { Logger } from "../../../runtime/logger.js";
import type { LogMetrics } from "./metrics.js";
import type { PartitionKey, PartitionState, Storage, StoredTopic } from "./storage.js";
import type { Topics } from "./topics.js";

const BATCHES_PER_TRANSACTION = 256;

/** Whether the oldest batch of a partition is to go. */
type Expired = (
  batch: { next: Offset; sizeBytes: number; maxTimestamp: number },
  state: PartitionState,
) => boolean;

export class Retention {
  readonly #storage: Storage;
  readonly #topics: Topics;
  readonly #clock: Clock;
  readonly #metrics: LogMetrics;

  constructor(storage: Storage, topics: Topics, clock: Clock, metrics: LogMetrics) {
    this.#storage = storage;
    this.#topics = topics;
    this.#clock = clock;
    this.#metrics = metrics;
  }

  /** Applies every topic's retention once. Returns the number of deleted records. */
  async apply(signal?: AbortSignal): Promise<number> {
    let deleted = 0;
    for (const { name, topic } of this.#topics.all()) {
      if (topic.retentionMs === undefined && topic.retentionBytes === undefined) continue;
      const expired = this.#limits(topic);
      for (let partition = 0; partition < topic.partitions; partition++) {
        deleted += await this.#shorten(name, [topic.id, partition], expired, signal);
      }
    }
    return deleted;
  }

  /** Deletes the batches of a partition that end at or below `offset`. Returns the number of deleted records. */
  async deleteBefore(topic: string, partition: number, offset: Offset): Promise<number> {
    return this.#shorten(topic, this.#topics.partition(topic, partition), (batch) => batch.next <= offset);
  }

  /** Runs until the signal aborts. A failure is logged, and the next round tries again. */
  async run(intervalMs: number, logger: Logger, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#clock.sleep(intervalMs, signal);
        const deleted = await this.apply(signal);
        if (deleted > 0) logger.info({ deleted }, "retention deleted records");
      } catch (error) {
        if (signal.aborted) return;
        logger.error({ err: error }, "retention failed");
      }
    }
  }

  #limits({ retentionMs, retentionBytes }: StoredTopic): Expired {
    const oldestMs = retentionMs === undefined ? Number.NEGATIVE_INFINITY : this.#clock.now() - retentionMs;
    const maxBytes = retentionBytes ?? Number.POSITIVE_INFINITY;
    return ({ sizeBytes, maxTimestamp }, state) =>
      maxTimestamp < oldestMs || state.bytes - sizeBytes >= maxBytes;
  }

  async #shorten(topic: string, key: PartitionKey, expired: Expired, signal?: AbortSignal): Promise<number> {
    let total = 0;
    for (;;) {
      if (signal?.aborted === true || !this.#hasExpired(key, expired)) return total;
      const deleted = await this.#storage.write("cannot apply retention", () =>
        this.#deleteSome(key, expired),
      );
      total += deleted;
      this.#metrics.deleted(topic, deleted);
    }
  }

  /** Looks before a write transaction is taken: most of the time nothing has expired. */
  #hasExpired(key: PartitionKey, expired: Expired): boolean {
    this.#storage.refresh();
    const state = this.#storage.state(key);
    for (const row of this.#oldest(key, 1)) return expired(row, state);
    return false;
  }

  /** Inside the write transaction. */
  #deleteSome(key: PartitionKey, expired: Expired): number {
    const { batches, index, rises } = this.#storage;
    const state = { ...this.#storage.state(key) };
    const from = state.earliest;
    const gone: Offset[] = [];
    for (const row of this.#oldest(key, BATCHES_PER_TRANSACTION)) {
      if (!expired(row, state)) break;
      gone.push(row.base);
      state.earliest = row.next;
      state.bytes -= row.sizeBytes;
      state.deletedMaxTimestamp = Math.max(state.deletedMaxTimestamp, row.maxTimestamp);
    }
    for (const base of gone) {
      batches.removeSync([...key, base]);
      index.removeSync([...key, base]);
    }
    // The rises point to batches in offset order, so those of deleted batches come first.
    const stale: number[] = [];
    for (const { key: rise, value: base } of rises.getRange({
      start: [...key, Number.NEGATIVE_INFINITY],
      end: [...key, Number.POSITIVE_INFINITY],
    })) {
      if (base >= state.earliest) break;
      stale.push(rise[2]);
    }
    for (const timestamp of stale) rises.removeSync([...key, timestamp]);
    if (gone.length > 0) this.#storage.putState(key, state);
    return state.earliest - from;
  }

  *#oldest(
    key: PartitionKey,
    limit: number,
  ): Generator<{ base: Offset; next: Offset; sizeBytes: number; maxTimestamp: number }> {
    for (const row of this.#storage.index.getRange({
      start: [...key, 0],
      end: [...key, Number.POSITIVE_INFINITY],
      limit,
    })) {
      const base = row.key[2];
      const [count, sizeBytes, maxTimestamp] = row.value;
      yield { base, next: base + count, sizeBytes, maxTimestamp };
    }
  }
}
