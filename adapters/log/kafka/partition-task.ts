/**
 * One partition in the hands of this member: restores, reads, hands out batches, lets go. One thing after the other,
 * so calls to the handler for one partition never overlap.
 */
import { hasCode, SluiceError } from "../../../contracts/errors.js";
import type { Clock } from "../../../contracts/ports/clock.js";
import type { Offset, PartitionHandler } from "../../../contracts/ports/log.js";
import type { Logger } from "../../../runtime/logger.js";
import { retry } from "../../../runtime/retry.js";
import type { ClusterHandle } from "./client.js";
import type { Chunk } from "./fetch.js";
import type { Fetcher } from "./fetcher.js";
import { range } from "./offsets.js";
import { batches, orAborted } from "./reader.js";

export type Why = Parameters<PartitionHandler["revoked"]>[1];

export interface PartitionTaskOptions {
  topic: string;
  partition: number;
  handler: PartitionHandler;
  fetcher: Fetcher;
  control: ClusterHandle;
  clock: Clock;
  logger: Logger;
}

class FetchFailed extends Error {}

export class PartitionTask {
  readonly partition: number;
  /** Resolves when the handler has let go, also after an error. */
  readonly ended: Promise<void>;
  readonly #options: PartitionTaskOptions;
  readonly #stop = new AbortController();
  #setEnded = () => {};
  #position: Offset | undefined;
  #why: Why | undefined;

  constructor(options: PartitionTaskOptions) {
    this.#options = options;
    this.partition = options.partition;
    this.ended = new Promise((resolve) => {
      this.#setEnded = resolve;
    });
  }

  /** The next offset to handle; undefined until the handler said where to start. */
  get position(): Offset | undefined {
    return this.#position;
  }

  /** Why the partition goes away; undefined while it stays. */
  get why(): Why | undefined {
    return this.#why;
  }

  /** Ends the task after the batch in work. `lost` overrides an earlier reason: from then on nothing may be written. */
  stop(why: Why): void {
    if (this.#why === undefined || why === "lost") this.#why = why;
    this.#stop.abort();
  }

  /** Runs until {@link stop}. Rejects with the first error of the handler or of reading, after letting go. */
  async run(): Promise<void> {
    try {
      const from = await this.#options.handler.assigned(this.partition);
      await this.#consumeAndRevoke(from);
    } finally {
      this.#options.fetcher.drop(this.partition);
      this.#setEnded();
    }
  }

  async #consumeAndRevoke(from: Offset): Promise<void> {
    let failure: { error: unknown } | undefined;
    try {
      await this.#consume(from);
    } catch (error) {
      failure = { error };
      this.#why ??= "closing";
    }
    try {
      await this.#options.handler.revoked(this.partition, this.#why ?? "closing");
    } catch (error) {
      this.#options.logger.error(
        { err: error, partition: this.partition },
        "handler failed to let go of a partition",
      );
      failure ??= { error };
    }
    if (failure !== undefined) throw failure.error;
  }

  /** The next chunk is fetched while the handler works on this one. */
  async #consume(from: Offset): Promise<void> {
    let next = from;
    this.#position = from;
    let ahead = this.#fetch(next);
    while (!this.#stop.signal.aborted) {
      try {
        const chunk = await orAborted(ahead, this.#stop.signal);
        if (chunk === undefined) return;
        next = chunk.next;
        ahead = this.#fetch(next);
        if (!(await this.#handle(chunk))) return;
      } catch (error) {
        if (!(error instanceof FetchFailed)) throw error;
        if (!hasCode(error.cause, "LOG_OFFSET_OUT_OF_RANGE")) throw error.cause;
        const caughtUp = await this.#catchUp(next, error.cause);
        if (caughtUp === undefined) return;
        next = caughtUp;
        this.#position = next;
        ahead = this.#fetch(next);
      }
    }
  }

  /** Marks errors of reading, so that an error of the handler is never taken for one. */
  #fetch(from: Offset): Promise<Chunk> {
    const chunk = this.#options.fetcher.next(this.partition, from).catch((error: unknown) => {
      throw new FetchFailed("fetch failed", { cause: error });
    });
    chunk.catch(() => undefined); // awaited in the next round, unless the task ends first
    return chunk;
  }

  /** False when the task was stopped before all of the chunk was handed out. */
  async #handle(chunk: Chunk): Promise<boolean> {
    for (const records of batches(chunk.records, Number.POSITIVE_INFINITY)) {
      if (this.#stop.signal.aborted) return false;
      await this.#options.handler.batch(this.partition, records);
      this.#position = records.at(-1)!.offset + 1;
    }
    this.#position = chunk.next;
    return true;
  }

  /** Retention overtook us: tells the handler, and says where the log begins now; undefined when stopped. */
  async #catchUp(wanted: Offset, cause: unknown): Promise<Offset | undefined> {
    const { topic, partition, control, clock, handler } = this.#options;
    const { signal } = this.#stop;
    const retryable = (error: unknown) => hasCode(error, "LOG_UNAVAILABLE");
    const look = retry(() => range(control, topic, partition), { clock, signal, retryable });
    const found = await orAborted(look, signal);
    if (found === undefined) return undefined;
    const { earliest, next } = found;
    if (wanted < earliest) {
      handler.fellBehind(partition, wanted, earliest);
      return earliest;
    }
    if (wanted <= next) return wanted; // the log grew up to it again in the meantime
    const text = `offset ${wanted} of ${topic}/${partition} is past the end of the log, ${next}: was the topic recreated?`;
    throw new SluiceError("LOG_OFFSET_OUT_OF_RANGE", text, { cause });
  }
}
