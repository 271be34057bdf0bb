/**
 * The records of one partition that wait to be sent, in order, and whether some are in flight. Pure bookkeeping.
 */
import type { AppendRecord } from "../../../contracts/ports/log.js";

/** One call of `append`: done when all of its records are durable. */
export interface Append {
  /** Records not acknowledged yet. */
  remaining: number;
  /** Rejected already: acknowledgements of its other records change nothing. */
  failed: boolean;
  resolve(): void;
  reject(error: Error): void;
}

export interface QueuedRecord {
  append: Append;
  record: AppendRecord;
  sizeBytes: number;
}

/** Consecutive records of one partition that are sent together. */
export interface Slice {
  records: QueuedRecord[];
  sizeBytes: number;
}

/** What was removed from a queue. */
export interface Cut {
  appends: Set<Append>;
  sizeBytes: number;
}

/** Under a broker's default `message.max.bytes` of 1 MiB, with room for the batch's own header. */
const MAX_SLICE_BYTES = 1_000_000;
/** kafkajs copies its list of a partition's records for every record it adds to it: long slices cost their square. */
const MAX_SLICE_RECORDS = 1_000;
/** Upper bound of what the record format adds: attributes, deltas and lengths. */
const RECORD_OVERHEAD_BYTES = 24;

export class PartitionQueue {
  readonly topic: string;
  readonly partition: number;
  #waiting: QueuedRecord[] = [];
  /** Records before this index were sent: taking from the front of a long array would cost its length. */
  #head = 0;
  #inFlight = false;
  #suspect = false;
  #maxSliceBytes = MAX_SLICE_BYTES;

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }

  get canSend(): boolean {
    return !this.#inFlight && this.#head < this.#waiting.length;
  }

  get isIdle(): boolean {
    return !this.#inFlight && this.#head === this.#waiting.length;
  }

  /** @returns the bytes it counts for */
  push(append: Append, record: AppendRecord): number {
    const sizeBytes = sizeOf(record);
    this.#waiting.push({ append, record, sizeBytes });
    return sizeBytes;
  }

  /** Takes the next slice into flight: at least one record. */
  take(): Slice {
    if (!this.canSend) throw new Error("nothing to send, or a slice is in flight");
    let end = this.#head;
    let sizeBytes = 0;
    while (end < this.#waiting.length && end - this.#head < MAX_SLICE_RECORDS) {
      const next = this.#waiting[end]!.sizeBytes;
      if (end > this.#head && sizeBytes + next > this.#maxSliceBytes) break;
      sizeBytes += next;
      end++;
    }
    const records = this.#waiting.slice(this.#head, end);
    this.#head = end;
    this.#compact();
    this.#inFlight = true;
    return { records, sizeBytes };
  }

  /** The slice in flight has been acknowledged or given up. */
  landed(): void {
    this.#inFlight = false;
    this.#suspect = false;
  }

  /** A request with this queue's records was too large: the next one is to hold nothing else, to find the culprit. */
  get suspect(): boolean {
    return this.#suspect;
  }

  /** The slice in flight was too large for the topic: it waits again, and slices become smaller. */
  putBack(slice: Slice): void {
    this.#waiting = [...slice.records, ...this.#waiting.slice(this.#head)];
    this.#head = 0;
    this.#inFlight = false;
    this.#suspect = true;
    if (slice.records.length > 1) this.#maxSliceBytes = Math.max(1, Math.floor(slice.sizeBytes / 2));
  }

  /** Removes everything from the first waiting record of any of `appends` on. */
  cutFrom(appends: ReadonlySet<Append>): Cut {
    let first = this.#head;
    while (first < this.#waiting.length && !appends.has(this.#waiting[first]!.append)) first++;
    return this.#cut(first);
  }

  /** Removes everything that waits: all of it is behind what was in flight. */
  cutAll(): Cut {
    return this.#cut(this.#head);
  }

  #cut(first: number): Cut {
    const removed = this.#waiting.splice(first);
    return {
      appends: new Set(removed.map((one) => one.append)),
      sizeBytes: removed.reduce((sum, one) => sum + one.sizeBytes, 0),
    };
  }

  #compact(): void {
    if (this.#head < this.#waiting.length / 2) return;
    this.#waiting = this.#waiting.slice(this.#head);
    this.#head = 0;
  }
}

/** About what the record takes in a batch, in bytes; never less. */
export function sizeOf(record: AppendRecord): number {
  let sizeBytes = record.value.length + RECORD_OVERHEAD_BYTES + textBytes(record.key);
  for (const name in record.headers) sizeBytes += textBytes(name) + textBytes(record.headers[name]) + 10;
  return sizeBytes;
}

function textBytes(text: string | undefined): number {
  return text === undefined ? 0 : Buffer.byteLength(text);
}
