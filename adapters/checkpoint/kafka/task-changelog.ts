/**
 * One task's changelog partition: taking it over, its state in memory, and its commits.
 *
 * Who may write. Two locks work together, since Kafka's own cannot tell a producer that was replaced from one whose
 * transaction timed out, and a zombie that opened a new producer would fence the rightful owner:
 * - the epoch of the transactional id: opening a producer fences the one before it and aborts what it left open;
 * - a claim in the log: `restore` opens a producer and writes an `owner` record under it. The last claim counts.
 * After any failure the producer is discarded, and a new one is used only if, with everybody else fenced, the last
 * claim is still ours. Whoever claims in between fences that new producer in turn. So nothing is ever written behind a
 * foreign claim, and whoever reads its own claim has read everything written before it.
 *
 * A commit whose outcome is unknown may be repeated: entries are absolute values.
 */
import { randomUUID } from "node:crypto";
import { hasCode, SluiceError } from "../../../contracts/errors.js";
import type { Checkpoint, RestoredTask, TaskId } from "../../../contracts/ports/checkpoint.js";
import type { Clock } from "../../../contracts/ports/clock.js";
import type { Offset } from "../../../contracts/ports/log.js";
import type { Logger } from "../../../runtime/logger.js";
import { Mutex } from "../../../runtime/mutex.js";
import type { KafkaChangelogs } from "../../log/kafka/changelog.js";
import type { ChangelogEntry, TransactionalProducer } from "../../log/kafka/transactional.js";
import { changelogTopic, checkpointEntry, isClaim, isClaimOf, ownerEntry, stateEntry } from "./entries.js";
import type { CheckpointMetrics } from "./metrics.js";
import { TaskState } from "./task-state.js";

/** How far a restore has come. */
export interface RestoreProgress {
  task: TaskId;
  /** Records and bytes read so far. */
  records: number;
  bytes: number;
  /** Of all offsets of the changelog, so many are behind. */
  done: number;
  total: number;
}

export interface TaskChangelogOptions {
  task: TaskId;
  changelogs: KafkaChangelogs;
  clock: Clock;
  logger: Logger;
  metrics: CheckpointMetrics;
  onProgress: ((progress: RestoreProgress) => void) | undefined;
}

/** So often a take-over or a commit is begun anew because another producer came in between. */
const TRIES = 5;
/** The markers that make a transaction visible are written after it was acknowledged. */
const CLAIM_POLL_MS = 10;
const CLAIM_LIMIT_MS = 30_000;
const LOG_INTERVAL_MS = 5_000;

export class TaskChangelog {
  readonly #options: TaskChangelogOptions;
  readonly #topic: string;
  readonly #mutex = new Mutex();
  /** Our claim, while it counts. */
  #owner: string | undefined;
  /** We had a claim, and then somebody else made a later one. */
  #lost = false;
  #state = new TaskState();
  #producer: TransactionalProducer | undefined;
  /** No foreign claim lies before it. */
  #checked: Offset = 0;

  constructor(options: TaskChangelogOptions) {
    this.#options = options;
    this.#topic = changelogTopic(options.task);
  }

  get state(): TaskState {
    return this.#state;
  }

  restore(): Promise<RestoredTask> {
    return this.#mutex.run(() => this.#restore());
  }

  /** `writeOutputs` runs once it is sure that the task was ours, and before the commit. It may run several times. */
  commit({ offset, state }: Checkpoint, writeOutputs?: () => Promise<void>): Promise<void> {
    return this.#mutex.run(async () => {
      const entries = Array.from(state, ([key, value]) => stateEntry(key, value));
      await this.#write([...entries, checkpointEntry(offset)], writeOutputs);
      this.#state.commit(offset, state);
    });
  }

  discard(): Promise<void> {
    return this.#mutex.run(async () => {
      if (this.#owner === undefined && !this.#lost) await this.#takeOver();
      await this.#write(this.#state.removals());
      this.#state.clear();
    });
  }

  /** Lets go of producer and state. */
  close(): Promise<void> {
    return this.#mutex.run(async () => {
      this.#owner = undefined;
      this.#lost = true;
      this.#state = new TaskState();
      await this.#dropProducer();
    });
  }

  async #restore(): Promise<RestoredTask> {
    const { clock, metrics, task, logger } = this.#options;
    const startedMs = clock.monotonicMs();
    const { records, bytes } = await this.#takeOver();
    const state = this.#state;
    state.assertReadable();
    const seconds = (clock.monotonicMs() - startedMs) / 1000;
    metrics.restoreSeconds.observe(seconds);
    logger.info({ ...task, records, bytes, entries: state.size, seconds }, "state restored");
    return { offset: state.offset, get: (key) => state.get(key), entries: () => state.entries() };
  }

  /** Fences the owner before us, claims the partition, and reads its state. */
  async #takeOver(): Promise<{ records: number; bytes: number }> {
    const { changelogs, task } = this.#options;
    await this.#dropProducer();
    this.#owner = undefined;
    await changelogs.ensure(this.#topic, task.topic, task.partition);
    try {
      const owner = await this.#claim();
      const read = await this.#load(owner);
      this.#owner = owner;
      this.#lost = false;
      return read;
    } catch (error) {
      await this.#dropProducer();
      throw error;
    }
  }

  async #claim(): Promise<string> {
    const owner = randomUUID();
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#open();
        this.#checked = await this.#producer!.write([ownerEntry(owner)]);
        return owner;
      } catch (error) {
        await this.#dropProducer();
        if (!hasCode(error, "FENCED")) throw error;
        if (attempt === TRIES) throw this.#contended(error);
      }
    }
  }

  /** Reads the changelog until it has met our claim, which is behind all that others have written. */
  async #load(owner: string): Promise<{ records: number; bytes: number }> {
    const { changelogs, clock, metrics } = this.#options;
    const partition = this.#options.task.partition;
    const state = new TaskState();
    const { earliest } = await changelogs.range(this.#topic, partition);
    const startedMs = clock.monotonicMs();
    const progress = this.#progress(earliest, this.#checked);
    let [position, records, bytes] = [earliest, 0, 0];
    let ours = false;
    for (;;) {
      for await (const batch of changelogs.read(this.#topic, partition, position)) {
        for (const record of batch) {
          if (isClaim(record)) ours = isClaimOf(owner, record);
          state.load(record);
          bytes += record.value.byteLength;
        }
        records += batch.length;
        position = batch.at(-1)!.offset + 1;
        metrics.restoredRecords.inc(batch.length);
        progress(position, records, bytes);
      }
      if (position >= this.#checked) break;
      if (clock.monotonicMs() - startedMs > CLAIM_LIMIT_MS) throw this.#invisible();
      await clock.sleep(CLAIM_POLL_MS, changelogs.closing);
    }
    // Of two that take over at once the one that claims last has it.
    if (!ours) throw this.#takenOver("while it was restored");
    this.#state = state;
    return { records, bytes };
  }

  #progress(earliest: Offset, end: Offset): (position: Offset, records: number, bytes: number) => void {
    const { clock, logger, task, onProgress } = this.#options;
    let loggedMs = clock.monotonicMs();
    return (position, records, bytes) => {
      const done = {
        task,
        records,
        bytes,
        done: position - earliest,
        total: Math.max(end, position) - earliest,
      };
      onProgress?.(done);
      const nowMs = clock.monotonicMs();
      if (nowMs - loggedMs < LOG_INTERVAL_MS) return;
      loggedMs = nowMs;
      logger.info(done, "restoring state");
    };
  }

  /** Writes in one transaction, or not at all. @throws SluiceError FENCED, LOG_UNAVAILABLE (outcome unknown) */
  async #write(entries: readonly ChangelogEntry[], beforeCommit?: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      if (this.#owner === undefined) throw this.#takenOver("by another processor, or never restored");
      try {
        if (this.#producer === undefined) await this.#resume();
        this.#checked = Math.max(this.#checked, await this.#producer!.write(entries, beforeCommit));
        return;
      } catch (error) {
        await this.#dropProducer();
        if (!hasCode(error, "FENCED")) throw error;
        if (this.#owner !== undefined && attempt === TRIES) throw this.#contended(error);
      }
    }
  }

  /** A new producer in place of the one that failed: it may be used if the partition is still ours. */
  async #resume(): Promise<void> {
    // Looking first spares a rightful owner from being fenced by us.
    await this.#assertOwner();
    this.#options.metrics.reconnects.inc({ client: "producer" });
    await this.#open();
    await this.#assertOwner();
  }

  /** @throws SluiceError FENCED when somebody else has claimed the partition */
  async #assertOwner(): Promise<void> {
    const { changelogs, task } = this.#options;
    let position = this.#checked;
    for await (const batch of changelogs.read(this.#topic, task.partition, position)) {
      if (batch.some((record) => isClaim(record) && !isClaimOf(this.#owner ?? "", record))) {
        this.#owner = undefined;
        this.#lost = true;
        this.#state = new TaskState();
        throw this.#takenOver("by another processor");
      }
      position = batch.at(-1)!.offset + 1;
    }
    this.#checked = position;
  }

  async #open(): Promise<void> {
    const { changelogs, task } = this.#options;
    this.#producer = await changelogs.openProducer(this.#topic, task.partition);
  }

  async #dropProducer(): Promise<void> {
    const producer = this.#producer;
    this.#producer = undefined;
    await producer?.close();
  }

  #what(): string {
    const { group, topic, partition } = this.#options.task;
    return `partition ${partition} of ${topic} in group ${group}`;
  }

  #takenOver(how: string): SluiceError {
    return new SluiceError("FENCED", `${this.#what()} was taken over ${how}`);
  }

  #contended(cause: unknown): SluiceError {
    const text = `Kafka: ${this.#what()}: fenced ${TRIES} times in a row`;
    return new SluiceError("LOG_UNAVAILABLE", text, { cause });
  }

  #invisible(): SluiceError {
    const text = `Kafka: ${this.#what()}: our claim does not become visible in ${this.#topic}`;
    return new SluiceError("LOG_UNAVAILABLE", text);
  }
}
