/**
 * A consumer group member of the embedded log: it gets every partition of the topic, under the group's lease.
 *
 * Each partition is read by a loop of its own: assigned, then batches one at a time, then revoked. When a handler
 * call throws, that partition is revoked as `lost` (its state is in doubt, so nothing may be written), the others
 * as `closing`, and `done` rejects with the error.
 */
import { hasCode } from "../../../contracts/errors.js";
import type { LogRecord, Offset, PartitionHandler, Subscription } from "../../../contracts/ports/log.js";
import type { Logger } from "../../../runtime/logger.js";

/** What a subscription needs of its log. */
export interface SubscribedTopic {
  group: string;
  topic: string;
  partitions: number;
  range(partition: number): { earliest: Offset; next: Offset };
  read(partition: number, from: Offset, signal: AbortSignal): AsyncIterable<LogRecord[]>;
  release(): Promise<void>;
}

export class EmbeddedSubscription implements Subscription {
  readonly done: Promise<void>;
  readonly #source: SubscribedTopic;
  readonly #handler: PartitionHandler;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  /** The next offset to handle, by assigned partition. */
  readonly #positions = new Map<number, Offset>();
  #failure: { error: unknown } | undefined;

  constructor(source: SubscribedTopic, handler: PartitionHandler, logger: Logger) {
    this.#source = source;
    this.#handler = handler;
    this.#logger = logger;
    this.done = this.#run();
    // Whoever looks at `done` still sees the error; one nobody looks at must not end the process.
    this.done.catch((error: unknown) => {
      logger.error({ err: error, group: source.group, topic: source.topic }, "subscription failed");
    });
  }

  async lag(): Promise<number> {
    let lag = 0;
    for (const [partition, position] of this.#positions) {
      lag += Math.max(0, this.#source.range(partition).next - position);
    }
    return lag;
  }

  assigned(): number[] {
    return [...this.#positions.keys()];
  }

  /** Waits for running handler calls. What ended the subscription early is told by `done`. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.done.catch(() => undefined);
  }

  async #run(): Promise<void> {
    const loops = Array.from({ length: this.#source.partitions }, (_, partition) => this.#consume(partition));
    await Promise.all(loops);
    try {
      await this.#source.release();
    } catch (error) {
      this.#fail(error);
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Never rejects: a failure ends the whole subscription. */
  async #consume(partition: number): Promise<void> {
    let why: "closing" | "lost" = "closing";
    try {
      const start = await this.#handler.assigned(partition);
      this.#positions.set(partition, start);
      await this.#handleFrom(partition, start);
    } catch (error) {
      why = "lost";
      this.#fail(error);
    }
    try {
      await this.#handler.revoked(partition, why);
    } catch (error) {
      this.#fail(error);
    }
    this.#positions.delete(partition);
  }

  async #handleFrom(partition: number, start: Offset): Promise<void> {
    const { signal } = this.#stop;
    let offset = start;
    while (!signal.aborted) {
      const { earliest } = this.#source.range(partition);
      if (offset < earliest) {
        this.#handler.fellBehind(partition, offset, earliest);
        offset = earliest;
        this.#positions.set(partition, offset);
      }
      const failure = await this.#handleUntilOvertaken(partition, offset);
      if (failure === undefined) return;
      offset = this.#positions.get(partition) ?? offset;
      if (offset >= this.#source.range(partition).earliest) throw failure;
    }
  }

  /** Returns the error when retention overtook the reading; undefined when the subscription is closing. */
  async #handleUntilOvertaken(partition: number, from: Offset): Promise<Error | undefined> {
    const { signal } = this.#stop;
    const batches = this.#source.read(partition, from, signal)[Symbol.asyncIterator]();
    for (;;) {
      let step: IteratorResult<LogRecord[]>;
      try {
        step = await batches.next();
      } catch (error) {
        if (hasCode(error, "LOG_OFFSET_OUT_OF_RANGE")) return error;
        throw error;
      }
      if (step.done === true || signal.aborted) return undefined;
      const last = step.value[step.value.length - 1];
      await this.#handler.batch(partition, step.value);
      if (last !== undefined) this.#positions.set(partition, last.offset + 1);
    }
  }

  /** The first failure ends the subscription and is the one it is remembered by. */
  #fail(error: unknown): void {
    const { group, topic } = this.#source;
    if (this.#failure === undefined) this.#failure = { error };
    else this.#logger.error({ err: error, group, topic }, "another failure while a subscription ended");
    this.#stop.abort();
  }
}
