/**
 * The read path: one partition in offset order, from any offset or time.
 *
 * A batch's successor starts where it ends, so that reading on is one point lookup per stored batch; small stored
 * batches are handed out together. Reading gives the event loop its turn at least every {@link TURN_BYTES}.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { SluiceError } from "../../../contracts/errors.js";
import type { LogRecord, Offset, ReadOptions } from "../../../contracts/ports/log.js";
import { KeyCache, StoredBatch } from "./decode.js";
import type { PartitionKey, Storage } from "./storage.js";
import type { Wakeups } from "./wakeups.js";

/** A batch handed out is complete at this many records or bytes; it may exceed them by one stored batch. */
const TARGET_RECORDS = 1000;
const TARGET_BYTES = 512 * 1024;
const TURN_BYTES = 2 * 1024 * 1024;
const TURN_ROWS = 2048;

export class Reader {
  readonly #storage: Storage;
  readonly #wakeups: Wakeups;
  readonly #keys = new KeyCache();

  constructor(storage: Storage, wakeups: Wakeups) {
    this.#storage = storage;
    this.#wakeups = wakeups;
  }

  /**
   * @param open throws when the log is closed; asked before every access
   * @throws SluiceError LOG_OFFSET_OUT_OF_RANGE, LOG_CLOSED, LOG_CORRUPT
   */
  async *read(
    key: PartitionKey,
    from: Offset,
    options: ReadOptions,
    open: () => void,
  ): AsyncGenerator<LogRecord[], void, undefined> {
    const { signal, follow = false } = options;
    const aborted = () => signal?.aborted === true;
    if (follow && options.to !== undefined) throw new TypeError("a read that follows has no `to`");
    open();
    let end = this.#freshEnd(key, from);
    if (!follow) end = Math.min(end, options.to ?? end);
    let offset = from;
    let base: Offset | undefined;
    let turnBytes = 0;
    while (!aborted()) {
      if (offset >= end) {
        if (!follow) return;
        await this.#wakeups.wait(key, end, signal);
        if (aborted()) return;
        open();
        end = this.#freshEnd(key, offset);
        continue;
      }
      base ??= this.#baseOf(key, offset);
      const records: LogRecord[] = [];
      let bytes = 0;
      while (offset < end && records.length < TARGET_RECORDS && bytes < TARGET_BYTES) {
        const batch = this.#load(key, base);
        if (batch === undefined) break;
        batch.decodeInto(records, key[1], offset, end, this.#keys);
        base = batch.base + batch.count;
        offset = Math.min(base, end);
        bytes += batch.sizeBytes;
      }
      if (records.length === 0) throw this.#overtaken(key, offset);
      if (offset < base) base = undefined;
      yield records;
      turnBytes += bytes;
      if (turnBytes >= TURN_BYTES) {
        turnBytes = 0;
        await nextTurn();
      }
      open();
    }
  }

  /** The first offset whose record time is at or after `timestampMs`; the end when there is none. */
  async offsetForTime(key: PartitionKey, timestampMs: number, open: () => void): Promise<Offset> {
    this.#storage.refresh();
    const { earliest, next, maxTimestamp, deletedMaxTimestamp } = this.#storage.state(key);
    if (earliest === next) return next;
    let candidate = next;
    if (timestampMs <= maxTimestamp) {
      for (const { value } of this.#storage.rises.getRange({
        start: [...key, timestampMs],
        end: end(key),
        limit: 1,
      })) {
        candidate = value;
      }
    }
    // Where a deleted record was later than `timestampMs`, a batch behind it may hold the answer without having
    // raised the maximum: then the batches up to the candidate are looked through.
    if (timestampMs <= deletedMaxTimestamp)
      candidate = await this.#scan(key, earliest, candidate, timestampMs, open);
    if (candidate >= next) return next;
    const batch = this.#load(key, candidate);
    const found = batch?.offsetAtTime(timestampMs, candidate);
    if (batch !== undefined && found === undefined) {
      throw new SluiceError(
        "LOG_CORRUPT",
        `the time index of partition ${key} points to a batch without the time`,
      );
    }
    // Deleted meanwhile: look again.
    return found ?? this.offsetForTime(key, timestampMs, open);
  }

  async #scan(
    key: PartitionKey,
    from: Offset,
    to: Offset,
    timestampMs: number,
    open: () => void,
  ): Promise<Offset> {
    let base = from;
    while (base < to) {
      let rows = 0;
      for (const row of this.#storage.index.getRange({
        start: [...key, base],
        end: [...key, to],
        limit: TURN_ROWS,
      })) {
        if (row.value[2] >= timestampMs) return row.key[2];
        base = row.key[2] + row.value[0];
        rows++;
      }
      if (rows === 0) return to;
      await nextTurn();
      open();
    }
    return to;
  }

  /** The partition's end as of now. */
  #freshEnd(key: PartitionKey, from: Offset): Offset {
    this.#storage.refresh();
    const { earliest, next } = this.#storage.state(key);
    if (from < earliest || from > next) throw outOfRange(key, from, earliest, next);
    return next;
  }

  #baseOf(key: PartitionKey, offset: Offset): Offset {
    const rows = this.#storage.index.getKeys({
      start: [...key, offset],
      end: [...key, -1],
      reverse: true,
      limit: 1,
    });
    for (const row of rows) return row[2];
    throw this.#overtaken(key, offset);
  }

  #load(key: PartitionKey, base: Offset): StoredBatch | undefined {
    const bytes = this.#storage.batches.getBinary([key[0], key[1], base]);
    return bytes === undefined ? undefined : new StoredBatch(bytes, `${base} of partition ${key[1]}`);
  }

  #overtaken(key: PartitionKey, offset: Offset): SluiceError {
    this.#storage.refresh();
    const { earliest, next } = this.#storage.state(key);
    if (offset < earliest) return outOfRange(key, offset, earliest, next);
    return new SluiceError("LOG_CORRUPT", `offset ${offset} of partition ${key[1]} is missing`);
  }
}

/** Above every row of the partition: no number sorts after infinity. */
function end(key: PartitionKey): [number, number, number] {
  return [key[0], key[1], Number.POSITIVE_INFINITY];
}

function outOfRange(key: PartitionKey, offset: Offset, earliest: Offset, next: Offset): SluiceError {
  return new SluiceError(
    "LOG_OFFSET_OUT_OF_RANGE",
    `offset ${offset} of partition ${key[1]} is outside the retained range [${earliest}, ${next}]`,
  );
}
