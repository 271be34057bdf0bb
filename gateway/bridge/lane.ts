/**
 * One topic's way into the log: records in the order they came, one append in flight, everything that arrives
 * meanwhile in the next one (group commit).
 *
 * While the log is unavailable the lane tries again for ever, so what was put in is neither lost nor reordered;
 * how much can be waiting is bounded by the admission of messages (`mqtt/admission.ts`).
 */
import { hasCode, SluiceError } from "../../contracts/errors.js";
import type { AppendRecord, Log } from "../../contracts/ports/log.js";
import { type RetryOptions, retry } from "../../runtime/retry.js";
import type { BridgeLimits } from "../limits.js";

/** Told once, when every record of a message is durable, or with why one will never be. */
export type Settled = (error?: SluiceError) => void;

/** A message on its way: how many of its records are not durable yet. */
export interface Waiter {
  remaining: number;
  settled: Settled;
}

interface Entry {
  record: AppendRecord;
  waiter: Waiter;
}

export interface LaneOptions {
  log: Log;
  topic: string;
  limits: Pick<BridgeLimits, "maxAppendRecords" | "maxAppendBytes">;
  retry: Omit<RetryOptions, "retryable">;
  /** Told of records that will never be durable, and why. */
  onRefused: (error: SluiceError, records: number) => void;
}

export class Lane {
  readonly #options: LaneOptions;
  #queue: Entry[] = [];
  #head = 0;
  #running = false;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /** Queues a record; the append starts in the next turn of the event loop, with all that came by then. */
  push(record: AppendRecord, waiter: Waiter): void {
    this.#queue.push({ record, waiter });
    if (this.#running) return;
    this.#running = true;
    setImmediate(() => void this.#run());
  }

  async #run(): Promise<void> {
    while (this.#head < this.#queue.length) {
      await this.#append(this.#take());
    }
    this.#running = false;
  }

  #take(): Entry[] {
    const { maxAppendRecords, maxAppendBytes } = this.#options.limits;
    const start = this.#head;
    let sizeBytes = 0;
    while (this.#head < this.#queue.length && this.#head - start < maxAppendRecords) {
      sizeBytes += this.#queue[this.#head]!.record.value.length;
      if (sizeBytes > maxAppendBytes && this.#head > start) break;
      this.#head++;
    }
    const batch = this.#queue.slice(start, this.#head);
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    } else if (this.#head > 65_536) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return batch;
  }

  /** Appends, and settles what the outcome decides. */
  async #append(batch: readonly Entry[]): Promise<void> {
    const records = batch.map((entry) => entry.record);
    try {
      await retry(() => this.#options.log.append(this.#options.topic, records), {
        ...this.#options.retry,
        retryable: (error) => hasCode(error, "LOG_UNAVAILABLE"),
      });
      settle(batch);
    } catch (error) {
      if (!hasCode(error, "LOG_RECORD_TOO_LARGE") || batch.length === 1) {
        return this.#refuse(batch, asCoded(error));
      }
      // One record is too large for the log: it alone fails, and not its neighbours.
      for (const entry of batch) await this.#append([entry]);
    }
  }

  #refuse(batch: readonly Entry[], error: SluiceError): void {
    this.#options.onRefused(error, batch.length);
    settle(batch, error);
  }
}

function asCoded(error: unknown): SluiceError {
  if (error instanceof SluiceError) return error;
  return new SluiceError("LOG_UNAVAILABLE", "the log failed in an unexpected way", { cause: error });
}

function settle(batch: readonly Entry[], error?: SluiceError): void {
  for (const { waiter } of batch) {
    if (waiter.remaining <= 0) continue;
    waiter.remaining = error === undefined ? waiter.remaining - 1 : 0;
    if (waiter.remaining === 0) waiter.settled(error);
  }
}
