/**
 * A consumer group's only member over a {@link MemoryLogData}: it gets every partition.
 */
import type { Offset, PartitionHandler, Subscription } from "../contracts/ports/log.js";
import type { MemoryLogData } from "./memory-log.js";

const BATCH_RECORDS = 100;

export class MemorySubscription implements Subscription {
  readonly done: Promise<void>;
  readonly #data: MemoryLogData;
  readonly #topic: string;
  readonly #handler: PartitionHandler;
  readonly #stop = new AbortController();
  readonly #positions = new Map<number, Offset>();
  #killed = false;

  constructor(
    data: MemoryLogData,
    topic: string,
    partitions: number,
    handler: PartitionHandler,
    ended: () => void,
  ) {
    this.#data = data;
    this.#topic = topic;
    this.#handler = handler;
    const loops = Array.from({ length: partitions }, (_, partition) => this.#consume(partition));
    this.done = Promise.allSettled(loops)
      .then((results) => {
        const failed = results.find((result) => result.status === "rejected");
        if (failed) throw failed.reason;
      })
      .finally(ended);
    this.done.catch(() => undefined);
    this.#ended = ended;
  }

  readonly #ended: () => void;

  /** Its process is gone: no handler call starts any more, and its lease is free. */
  kill(): void {
    this.#killed = true;
    this.#stop.abort();
    this.#ended();
  }

  async lag(): Promise<number> {
    let lag = 0;
    for (const [partition, position] of this.#positions) {
      lag += this.#data.partition(this.#topic, partition).records.filter((r) => r.offset >= position).length;
    }
    return lag;
  }

  assigned(): number[] {
    return [...this.#positions.keys()];
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.done.catch(() => undefined);
  }

  async #consume(partition: number): Promise<void> {
    let failure: { error: unknown } | undefined;
    try {
      const start = await this.#call(() => this.#handler.assigned(partition));
      await this.#handleFrom(partition, start);
    } catch (error) {
      failure = { error };
      this.#stop.abort();
    }
    this.#positions.delete(partition);
    await this.#call(() => this.#handler.revoked(partition, failure ? "lost" : "closing"));
    if (failure) throw failure.error;
  }

  async #handleFrom(partition: number, start: Offset): Promise<void> {
    let position = start;
    while (!this.#stop.signal.aborted) {
      const { earliest } = this.#data.partition(this.#topic, partition);
      if (position < earliest) {
        this.#handler.fellBehind(partition, position, earliest);
        position = earliest;
      }
      this.#positions.set(partition, position);
      const records = this.#data.slice(this.#topic, partition, position, BATCH_RECORDS);
      if (records.length === 0) {
        await this.#data.growth(this.#stop.signal);
        continue;
      }
      await this.#call(() => this.#handler.batch(partition, records));
      position = records.at(-1)!.offset + 1;
      this.#positions.set(partition, position);
    }
  }

  async #call<T>(work: () => Promise<T>): Promise<T> {
    if (this.#killed) return new Promise(() => {});
    const result = await work();
    if (this.#killed) return new Promise(() => {});
    return result;
  }
}
