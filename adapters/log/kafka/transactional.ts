/**
 * A transactional producer for one partition: all entries of a call become visible together, or none does.
 *
 * Opening one fences whoever used the same transactional id before and aborts what that one left open. A producer
 * that failed in any way is of no more use (its transaction may be open, its epoch may have passed): close it and open
 * another one, which aborts what is open.
 *
 * kafkajs (2.2.4) reports a passed epoch as INVALID_PRODUCER_EPOCH, be it that another producer took the id or that
 * the broker aborted a transaction that took too long. The two cannot be told apart here: both are FENCED.
 */
import type { Kafka, Message, Producer, Transaction } from "kafkajs";
import { SluiceError } from "../../../contracts/errors.js";
import type { Clock } from "../../../contracts/ports/clock.js";
import type { Offset } from "../../../contracts/ports/log.js";
import type { Logger } from "../../../runtime/logger.js";
import { protocolError, toSluiceError } from "./errors.js";

/** A record of a compacted topic; null removes the key. */
export interface ChangelogEntry {
  key: string;
  value: Uint8Array | null;
}

export interface TransactionalOptions {
  kafka: Kafka;
  clock: Clock;
  logger: Logger;
  transactionalId: string;
  topic: string;
  partition: number;
}

/**
 * The broker aborts what is open for longer. Long, since a slow store is waited for in a transaction; nobody waits for
 * it in vain, since whoever takes over aborts it at once.
 */
const TRANSACTION_TIMEOUT_MS = 300_000;
const ACK_TIMEOUT_MS = 10_000;
/**
 * The first wait is short: right after a commit the broker asks to wait until its markers are written. About 2 s in all:
 * a commit that fails is repeated by the caller, and until it has failed the partition cannot be let go.
 */
const RETRY = { retries: 6, initialRetryTime: 30, maxRetryTime: 1_000, factor: 0.2, multiplier: 2 };
const INIT_POLL_MS = 50;
const INIT_LIMIT_MS = 15_000;

/** Under the topic's limit for a batch (see changelog.ts), with room for the batch's header. */
const MAX_SEND_BYTES = 1_000_000;
/** kafkajs copies its list of a partition's records for every record it adds to it. */
const MAX_SEND_ENTRIES = 1_000;
/** Upper bound of what the record format adds: attributes, deltas and lengths. */
const ENTRY_OVERHEAD_BYTES = 24;
/** Largest entry, key and value together. */
export const MAX_ENTRY_BYTES = 900_000;

/** kafkajs sorts times as text (see lane.ts). */
const TIMESTAMP_DIGITS = 16;

const PASSED_EPOCH = new Set(["INVALID_PRODUCER_EPOCH", "INVALID_PRODUCER_ID_MAPPING", "INVALID_TXN_STATE"]);

export class TransactionalProducer {
  readonly #options: TransactionalOptions;
  readonly #producer: Producer;
  /** kafkajs fences when the first transaction begins: it is begun at once, and empty ones cost the broker nothing. */
  #next: Transaction | undefined;

  private constructor(options: TransactionalOptions) {
    this.#options = options;
    this.#producer = options.kafka.producer({
      transactionalId: options.transactionalId,
      transactionTimeout: TRANSACTION_TIMEOUT_MS,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      retry: RETRY,
      createPartitioner: () => () => options.partition,
    });
  }

  /** @throws SluiceError LOG_UNAVAILABLE */
  static async open(options: TransactionalOptions): Promise<TransactionalProducer> {
    const opened = new TransactionalProducer(options);
    try {
      await opened.#init();
    } catch (error) {
      await opened.close();
      throw opened.#explain(error);
    }
    return opened;
  }

  /**
   * Writes the entries in one transaction. `beforeCommit` runs between the two: the entries are with the broker, so
   * this producer was not fenced until then, and nobody sees them yet. When it fails, they are not committed.
   * After an error of Kafka's nobody knows whether they were.
   * @returns an offset such that everything before it was written by this call or earlier
   * @throws SluiceError FENCED (the epoch has passed), LOG_UNAVAILABLE; whatever `beforeCommit` throws
   */
  async write(entries: readonly ChangelogEntry[], beforeCommit?: () => Promise<void>): Promise<Offset> {
    const { transaction, end } = await this.#explained(() => this.#send(entries));
    await beforeCommit?.();
    await this.#explained(() => transaction.commit());
    return end;
  }

  async close(): Promise<void> {
    try {
      await this.#producer.disconnect();
    } catch (error) {
      this.#options.logger.warn(
        { err: toSluiceError(error, "disconnecting") },
        "could not disconnect a producer",
      );
    }
  }

  /** While the broker still aborts the previous owner's transaction it says CONCURRENT_TRANSACTIONS. */
  async #init(): Promise<void> {
    const { clock } = this.#options;
    const startedMs = clock.monotonicMs();
    await this.#producer.connect();
    for (;;) {
      try {
        this.#next = await this.#producer.transaction();
        return;
      } catch (error) {
        const aborting = protocolError(error) === "CONCURRENT_TRANSACTIONS";
        if (!aborting || clock.monotonicMs() - startedMs > INIT_LIMIT_MS) throw error;
        await clock.sleep(INIT_POLL_MS);
      }
    }
  }

  async #send(entries: readonly ChangelogEntry[]): Promise<{ transaction: Transaction; end: Offset }> {
    const transaction = this.#next ?? (await this.#producer.transaction());
    this.#next = undefined;
    let end = 0;
    for (const messages of sends(entries, this.#options.clock.now())) {
      const [sent] = await transaction.sendBatch({
        acks: -1,
        timeout: ACK_TIMEOUT_MS,
        topicMessages: [{ topic: this.#options.topic, messages }],
      });
      end = Number(sent?.baseOffset) + messages.length;
    }
    return { transaction, end };
  }

  async #explained<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#explain(error);
    }
  }

  #explain(error: unknown): SluiceError {
    const { transactionalId } = this.#options;
    if (PASSED_EPOCH.has(protocolError(error) ?? "")) {
      return new SluiceError("FENCED", `Kafka: the epoch of ${transactionalId} has passed`, { cause: error });
    }
    return toSluiceError(error, `transaction of ${transactionalId}`);
  }
}

/** Bytes of an entry in the log, its key and value. */
export function entryBytes({ key, value }: ChangelogEntry): number {
  return Buffer.byteLength(key) + (value?.byteLength ?? 0);
}

/** Cuts entries into requests that the broker takes. */
function* sends(entries: readonly ChangelogEntry[], now: number): Generator<Message[]> {
  const timestamp = String(now).padStart(TIMESTAMP_DIGITS, "0");
  let messages: Message[] = [];
  let sizeBytes = 0;
  for (const entry of entries) {
    const bytes = entryBytes(entry) + ENTRY_OVERHEAD_BYTES;
    if (messages.length === MAX_SEND_ENTRIES || (messages.length > 0 && sizeBytes + bytes > MAX_SEND_BYTES)) {
      yield messages;
      messages = [];
      sizeBytes = 0;
    }
    const { key, value } = entry;
    messages.push({ key, value: value === null ? null : asBuffer(value), timestamp });
    sizeBytes += bytes;
  }
  if (messages.length > 0) yield messages;
}

function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}
