/**
 * Runs the operators over a retained range of the log once more, beside live processing and without touching it.
 *
 * Guarantee (INV-7): the same code as live processing, so the same rollups to the last bit. State is kept in memory
 * for the length of the run; topics, offsets and checkpoints of live processing are not written.
 */
import type { Checkpoint, Checkpoints, RestoredTask, TaskId } from "../../contracts/ports/checkpoint.js";
import type { Log, Offset } from "../../contracts/ports/log.js";
import type { StoreBatch } from "../../contracts/ports/store.js";
import type { ReadingRecord } from "../../contracts/reading.js";
import { TOPICS } from "../../contracts/topics.js";
import type { Logger } from "../../runtime/logger.js";
import { addCounters, type TaskCounters, zeroCounters } from "./counters.js";
import type { OperatorOptions } from "./device-operator.js";
import { PartitionTask } from "./partition-task.js";

/** Offsets [from, to) of one partition. */
export interface ReplayRange {
  partition: number;
  from: Offset;
  to: Offset;
}

export interface ReplayOptions {
  log: Log;
  logger: Logger;
  operator: OperatorOptions;
  ranges: readonly ReplayRange[];
  /** Takes what live processing would have written to the store. */
  write: (batch: StoreBatch) => Promise<void>;
  /** Records between two writes. */
  recordsPerWrite?: number;
  maxDevicesInMemory?: number;
  /**
   * The wall clock, for a replay up to the live end of the log: silence is judged up to it. Without one, it is judged
   * up to the last record.
   */
  nowMs?: number;
  /** Told of each record that is too late for its windows. */
  onLate?: (record: ReadingRecord) => void;
  onProgress?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

/** @returns what became of the records */
export async function replay(options: ReplayOptions): Promise<TaskCounters> {
  const total = options.ranges.reduce((sum, { from, to }) => sum + (to - from), 0);
  let counters = zeroCounters();
  for (const range of options.ranges) {
    const before = counters.processed;
    const done = await replayPartition(options, range, (processed) =>
      options.onProgress?.(before + processed, total),
    );
    counters = addCounters(counters, done);
  }
  return counters;
}

async function replayPartition(
  options: ReplayOptions,
  { partition, from, to }: ReplayRange,
  onProgress: (processed: number) => void,
): Promise<TaskCounters> {
  const {
    log,
    logger,
    operator,
    write,
    signal,
    recordsPerWrite = 50_000,
    maxDevicesInMemory = 100_000,
  } = options;
  const task = new PartitionTask({
    task: { group: "replay", topic: TOPICS.readings, partition },
    checkpoints: new EphemeralCheckpoints(write),
    writeTopics: false,
    ...(options.onLate && { onLate: options.onLate }),
    ...{ log, logger, operator, maxDevicesInMemory },
  });
  await task.restore(from);
  for await (const records of log.read(TOPICS.readings, partition, from, { to, ...(signal && { signal }) })) {
    task.process(records);
    if (task.uncommitted >= recordsPerWrite) await task.commit();
    onProgress(task.counters.processed);
  }
  if (options.nowMs !== undefined) task.tick(options.nowMs);
  await task.commit();
  return task.counters;
}

/** Keeps state in memory, and hands outputs on. */
class EphemeralCheckpoints implements Checkpoints {
  readonly #write: ReplayOptions["write"];
  readonly #state = new Map<string, Uint8Array>();

  constructor(write: ReplayOptions["write"]) {
    this.#write = write;
  }

  async restore(): Promise<RestoredTask> {
    return { offset: undefined, get: (key) => this.#state.get(key), entries: () => this.#state };
  }

  async commit(_task: TaskId, { state }: Checkpoint, outputs: StoreBatch): Promise<void> {
    await this.#write(outputs);
    for (const [key, value] of state) {
      if (value === null) this.#state.delete(key);
      else this.#state.set(key, value);
    }
  }

  async release(): Promise<void> {}

  async discard(): Promise<void> {
    this.#state.clear();
  }

  async close(): Promise<void> {}
}
