/**
 * Reads one partition without a consumer group: plain fetches over connections of its own, since a fetch that waits
 * for new records holds up whatever is asked after it on the same connection.
 *
 * A throw-away group would cost every read a join (three seconds on a broker with default settings), leave offsets
 * behind in the cluster, and kafkajs would answer an out-of-range offset by silently going elsewhere.
 */
import type { Kafka } from "kafkajs";
import { hasCode, SluiceError } from "../../../contracts/errors.js";
import type { Clock } from "../../../contracts/ports/clock.js";
import type { LogRecord, Offset, ReadOptions } from "../../../contracts/ports/log.js";
import type { Logger } from "../../../runtime/logger.js";
import { ClusterHandle } from "./client.js";
import { isTransient } from "./errors.js";
import { type Chunk, type FetchLimits, fetchChunks } from "./fetch.js";
import type { KafkaMetrics } from "./metrics.js";
import { range } from "./offsets.js";

export interface ReadContext {
  kafka: Kafka;
  clientId: string;
  clock: Clock;
  logger: Logger;
  metrics: Pick<KafkaMetrics, "reconnects">;
  /** Aborted when the log closes. */
  closing: AbortSignal;
}

export const MAX_BATCH_RECORDS = 5_000;
const FETCH_LIMITS: FetchLimits = { maxWaitMs: 500, maxBytesPerPartition: 1 << 20, maxBytes: 10 << 20 };
const MIN_DELAY_MS = 100;
const MAX_DELAY_MS = 2_000;
/** Failing fetches in a row before a bounded read gives up: about 15 s. A follower never does. */
const MAX_FAILURES = 10;

/**
 * The records of [from, options.to), or up to the end as of now, or on and on when following.
 * Ends quietly when `options.signal` aborts.
 * @throws SluiceError LOG_OFFSET_OUT_OF_RANGE, LOG_UNKNOWN_TOPIC, LOG_UNAVAILABLE, LOG_CLOSED
 */
export async function* readPartition(
  context: ReadContext,
  topic: string,
  partition: number,
  from: Offset,
  options: ReadOptions,
): AsyncGenerator<LogRecord[], void, undefined> {
  const follow = options.follow === true;
  if (follow && options.to !== undefined)
    throw new TypeError("a read that follows has no end: leave out `to`");
  if (options.signal?.aborted === true) return;
  const signal = AbortSignal.any([
    context.closing,
    ...(options.signal === undefined ? [] : [options.signal]),
  ]);
  const handle = new ClusterHandle(context.kafka, `${context.clientId}-reader`);
  try {
    const retained = await range(handle, topic, partition);
    if (from < retained.earliest) throw outOfRange(topic, partition, from, retained.earliest);
    const end = follow ? Number.POSITIVE_INFINITY : Math.min(options.to ?? retained.next, retained.next);
    yield* new PartitionReader(context, handle, topic, partition, signal).read(from, end, follow);
  } finally {
    await handle.close();
  }
}

class PartitionReader {
  readonly #context: ReadContext;
  readonly #handle: ClusterHandle;
  readonly #topic: string;
  readonly #partition: number;
  readonly #signal: AbortSignal;

  constructor(
    context: ReadContext,
    handle: ClusterHandle,
    topic: string,
    partition: number,
    signal: AbortSignal,
  ) {
    this.#context = context;
    this.#handle = handle;
    this.#topic = topic;
    this.#partition = partition;
    this.#signal = signal;
  }

  /** While the caller works on one chunk the next one is already on its way. */
  async *read(from: Offset, end: Offset, follow: boolean): AsyncGenerator<LogRecord[], void, undefined> {
    let position = from;
    let ahead = position < end ? this.#fetch(position, follow) : undefined;
    try {
      while (ahead !== undefined) {
        const chunk = await ahead;
        if (chunk === undefined) return;
        position = chunk.next;
        ahead = position < end ? this.#fetch(position, follow) : undefined;
        yield* batches(chunk.records, end);
        if (this.#signal.aborted) return;
      }
    } finally {
      // A fetch nobody waits for any more fails when the connection goes.
      ahead?.catch(() => undefined);
    }
  }

  /** The next chunk; undefined when aborted. Retries what a reconnect may cure. */
  async #fetch(position: Offset, follow: boolean): Promise<Chunk | undefined> {
    for (let failures = 0; ; ) {
      if (this.#signal.aborted) return this.#ended();
      try {
        const chunk = await orAborted(this.#fetchOnce(position), this.#signal);
        if (chunk === undefined) return this.#ended();
        if (chunk.next > position) return chunk;
      } catch (error) {
        if (hasCode(error, "LOG_OFFSET_OUT_OF_RANGE")) throw await this.#explain(position, error);
        failures++;
        if (!isTransient(error, failures) || (!follow && failures > MAX_FAILURES)) throw error;
        await this.#recover(error, failures);
      }
    }
  }

  async #fetchOnce(position: Offset): Promise<Chunk> {
    const [topic, partition] = [this.#topic, this.#partition];
    const leader = (await this.#handle.partitions(topic)).find((one) => one.partition === partition)?.leader;
    const chunks = await this.#handle.use(`reading ${topic}/${partition}`, async (cluster) => {
      const broker = await cluster.findBroker({ nodeId: String(leader) });
      return fetchChunks(broker, topic, [{ partition, from: position }], FETCH_LIMITS);
    });
    const chunk = chunks[0];
    if (chunk === undefined) throw new Error(`a fetch of ${topic}/${partition} brought another partition`);
    return chunk;
  }

  async #recover(error: unknown, failures: number): Promise<void> {
    const { logger, clock, metrics } = this.#context;
    const delayMs = Math.min(MAX_DELAY_MS, MIN_DELAY_MS * 2 ** (failures - 1));
    const where = { topic: this.#topic, partition: this.#partition };
    logger.warn({ err: error, ...where, delayMs }, "reading from Kafka failed, trying again");
    metrics.reconnects.inc({ client: "reader" });
    await this.#handle.reset();
    await clock.sleep(delayMs, this.#signal).catch((stopped: unknown) => {
      if (!hasCode(stopped, "ABORTED")) throw stopped;
    });
  }

  /** The caller's signal ends a read quietly; a closing log does not. */
  #ended(): undefined {
    if (this.#context.closing.aborted)
      throw new SluiceError("LOG_CLOSED", "the log was closed while reading");
    return undefined;
  }

  async #explain(position: Offset, cause: unknown): Promise<SluiceError> {
    const { earliest } = await range(this.#handle, this.#topic, this.#partition);
    return outOfRange(this.#topic, this.#partition, position, earliest, cause);
  }
}

/** Cuts a chunk into batches of bounded length, without what lies at or after `end`. */
export function* batches(records: readonly LogRecord[], end: Offset): Generator<LogRecord[]> {
  let stop = records.length;
  while (stop > 0 && records[stop - 1]!.offset >= end) stop--;
  for (let start = 0; start < stop; start += MAX_BATCH_RECORDS) {
    yield records.slice(start, Math.min(stop, start + MAX_BATCH_RECORDS));
  }
}

function outOfRange(topic: string, partition: number, wanted: Offset, earliest: Offset, cause?: unknown) {
  const text = `offset ${wanted} of ${topic}/${partition} is not retained: the earliest is ${earliest}`;
  return new SluiceError("LOG_OFFSET_OUT_OF_RANGE", text, { cause });
}

/** `promise`, or undefined as soon as the signal aborts. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  if (signal.aborted) {
    promise.catch(() => undefined);
    return undefined;
  }
  let stop = () => {};
  const aborted = new Promise<undefined>((resolve) => {
    stop = () => resolve(undefined);
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
    promise.catch(() => undefined);
  }
}
