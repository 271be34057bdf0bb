/**
 * Fetches for the partitions of one subscription: one request at a time to each leader, for all of its partitions
 * that ask. Each partition asks for one chunk at a time, so at most two chunks of it are in memory: one in work, one
 * waiting.
 *
 * Retries by itself, for as long as it takes, what a reconnect may cure; anything else rejects the partition's request.
 */
import { hasCode, SluiceError } from "../../../contracts/errors.js";
import type { Clock } from "../../../contracts/ports/clock.js";
import type { Offset } from "../../../contracts/ports/log.js";
import type { Logger } from "../../../runtime/logger.js";
import type { ClusterHandle } from "./client.js";
import { isTransient } from "./errors.js";
import { type Chunk, fetchChunks } from "./fetch.js";
import type { KafkaMetrics } from "./metrics.js";

interface Demand {
  from: Offset;
  resolve(chunk: Chunk): void;
  reject(error: unknown): void;
}

/** A fetch waits this long for new records when all partitions of the leader wait for them, */
const IDLE_WAIT_MS = 500;
/** and this long when some are at work: they must not wait for the quiet ones when they ask again. */
const BUSY_WAIT_MS = 10;
const MAX_BYTES = 10 << 20;
const MAX_BYTES_PER_PARTITION = 1 << 20;
const MIN_DELAY_MS = 100;
const MAX_DELAY_MS = 2_000;

export class Fetcher {
  readonly #cluster: ClusterHandle;
  readonly #topic: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: KafkaMetrics;
  readonly #stop = new AbortController();
  readonly #active = new Set<number>();
  readonly #demands = new Map<number, Demand>();
  readonly #busy = new Set<number>();
  #pumping = false;
  #failures = 0;

  constructor(options: {
    cluster: ClusterHandle;
    topic: string;
    clock: Clock;
    logger: Logger;
    metrics: KafkaMetrics;
  }) {
    this.#cluster = options.cluster;
    this.#topic = options.topic;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#metrics = options.metrics;
  }

  /** The next records at or after `from`; waits for them. @throws SluiceError LOG_OFFSET_OUT_OF_RANGE, ... */
  next(partition: number, from: Offset): Promise<Chunk> {
    this.#active.add(partition);
    return new Promise((resolve, reject) => {
      this.#demands.set(partition, { from, resolve, reject });
      void this.#pump();
    });
  }

  /** Nobody asks for the partition any more; a waiting request never settles. */
  drop(partition: number): void {
    this.#active.delete(partition);
    this.#demands.delete(partition);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#active.clear();
    this.#demands.clear();
    await this.#cluster.close();
  }

  /** Starts a request to every leader that has none under way and of whose partitions some ask. */
  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    let again = false;
    try {
      const leaders = await this.#leaders();
      for (const leader of new Set(leaders.values())) {
        if (!this.#busy.has(leader)) void this.#fetchFrom(leader, leaders);
      }
    } catch (error) {
      await this.#failed(error, [...this.#demands.keys()]);
      again = true;
    } finally {
      this.#pumping = false;
    }
    if (again && !this.#stop.signal.aborted && this.#demands.size > 0) void this.#pump();
  }

  async #leaders(): Promise<Map<number, number>> {
    const partitions = await this.#cluster.partitions(this.#topic);
    return new Map(partitions.map(({ partition, leader }) => [partition, leader]));
  }

  async #fetchFrom(leader: number, leaders: ReadonlyMap<number, number>): Promise<void> {
    const wants = [...this.#demands]
      .filter(([partition]) => leaders.get(partition) === leader)
      .map(([partition, { from }]) => ({ partition, from }));
    if (wants.length === 0 || this.#stop.signal.aborted) return;
    const active = [...this.#active].filter((partition) => leaders.get(partition) === leader);
    const maxWaitMs = wants.length === active.length ? IDLE_WAIT_MS : BUSY_WAIT_MS;
    this.#busy.add(leader);
    try {
      const chunks = await this.#cluster.use(`reading ${this.#topic}`, async (cluster) => {
        const broker = await cluster.findBroker({ nodeId: String(leader) });
        return fetchChunks(broker, this.#topic, wants, {
          maxWaitMs,
          maxBytes: MAX_BYTES,
          maxBytesPerPartition: MAX_BYTES_PER_PARTITION,
        });
      });
      this.#failures = 0;
      const froms = new Map(wants.map(({ partition, from }) => [partition, from]));
      for (const chunk of chunks) this.#deliver(chunk, froms.get(chunk.partition)!);
    } catch (error) {
      await this.#failed(
        error,
        wants.map((want) => want.partition),
      );
    } finally {
      this.#busy.delete(leader);
    }
    void this.#pump();
  }

  #deliver(chunk: Chunk, from: Offset): void {
    const demand = this.#demands.get(chunk.partition);
    // The partition may have been given up and taken again, at another offset, while the request was under way.
    if (demand === undefined || demand.from !== from || chunk.next <= from) return;
    this.#demands.delete(chunk.partition);
    demand.resolve(chunk);
  }

  async #failed(error: unknown, partitions: readonly number[]): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#failures++;
    if (!isTransient(error, this.#failures)) {
      const culprit = outOfRangePartition(error);
      for (const partition of culprit === undefined ? partitions : [culprit]) {
        this.#demands.get(partition)?.reject(error);
        this.#demands.delete(partition);
      }
      return;
    }
    const delayMs = Math.min(MAX_DELAY_MS, MIN_DELAY_MS * 2 ** Math.min(this.#failures - 1, 10));
    this.#tell(error, delayMs);
    this.#metrics.reconnects.inc({ client: "consumer" });
    await this.#cluster.reset();
    await this.#clock.sleep(delayMs, this.#stop.signal).catch((stopped: unknown) => {
      if (!hasCode(stopped, "ABORTED")) throw stopped;
    });
  }

  /** The first failure in full, then each doubling of their number: a broker that is away for long fills no log. */
  #tell(error: unknown, delayMs: number): void {
    const failures = this.#failures;
    if ((failures & (failures - 1)) !== 0) return;
    const detail = failures === 1 ? { err: error } : { why: (error as Error).message, failures };
    this.#logger.warn({ ...detail, delayMs }, "fetching from Kafka failed, trying again");
  }
}

/** kafkajs names the partition whose offset is out of range; the others of the request are innocent. */
function outOfRangePartition(error: unknown): number | undefined {
  if (!(error instanceof SluiceError) || error.code !== "LOG_OFFSET_OUT_OF_RANGE") return undefined;
  const { partition } = error.cause as { partition?: unknown };
  return typeof partition === "number" ? partition : undefined;
}
