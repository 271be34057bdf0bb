/**
 * The processor: a member of the consumer group that runs one {@link PartitionTask} per assigned partition and
 * commits them by time.
 *
 * Guarantees: work on one partition never overlaps; a commit that fails because the store or the log is away is
 * repeated until it succeeds, and meanwhile no more input is taken (back-pressure, nothing dropped); a task whose
 * state cannot be read is rebuilt from the log.
 */
import { hasCode, SluiceError } from "../../contracts/errors.js";
import type { Checkpoints } from "../../contracts/ports/checkpoint.js";
import type { Clock } from "../../contracts/ports/clock.js";
import type { Log, LogRecord, Offset, PartitionHandler, Subscription } from "../../contracts/ports/log.js";
import { TOPICS } from "../../contracts/topics.js";
import type { Logger } from "../../runtime/logger.js";
import type { Registry } from "../../runtime/metrics.js";
import { Mutex } from "../../runtime/mutex.js";
import { retry } from "../../runtime/retry.js";
import type { Rule } from "../alerting/rules.js";
import { addCounters, type TaskCounters, zeroCounters } from "./counters.js";
import type { OperatorOptions } from "./device-operator.js";
import { type ProcessorMetrics, processorMetrics } from "./metrics.js";
import { type Committed, PartitionTask } from "./partition-task.js";

export interface ProcessorOptions {
  log: Log;
  checkpoints: Checkpoints;
  clock: Clock;
  logger: Logger;
  registry: Registry;
  /** Consumer group: processors of one group share the partitions. */
  group: string;
  operator: OperatorOptions;
  commitIntervalMs: number;
  /** A commit is made earlier than by time after this many records. */
  maxRecordsPerCommit: number;
  maxDevicesInMemory: number;
  /** Told of every commit, after it is durable. */
  onCommit?: (committed: Committed) => void;
}

/** Keeps a task that fails at once from spinning. */
const RESTART_DELAY_MS = 1_000;

/**
 * How far behind the wall clock silence is judged where the log ends: a reading that a gateway has stamped may take so
 * long to get into the log and here.
 */
export const SILENCE_GRACE_MS = 10_000;

interface Running {
  task: PartitionTask;
  mutex: Mutex;
  /** Aborts when the task is given up: a commit that waits to be repeated is not. */
  stop: AbortController;
}

export class Processor {
  readonly #options: ProcessorOptions;
  readonly #logger: Logger;
  readonly #metrics: ProcessorMetrics;
  readonly #running = new Map<number, Running>();
  #operator: OperatorOptions;
  readonly #stop = new AbortController();
  #subscription: Subscription | undefined;
  #loops: Promise<unknown> = Promise.resolve();
  #failure: unknown;
  #expired = 0;

  constructor(options: ProcessorOptions) {
    this.#options = options;
    this.#operator = options.operator;
    this.#logger = options.logger.child({ part: "processor" });
    this.#metrics = processorMetrics(options.registry, {
      counters: () => this.counters(),
      lag: () => this.lag(),
      devices: () => this.#sum((task) => task.devicesInMemory),
      partitions: () => this.#running.size,
    });
  }

  /** Starts to consume; resolves once subscribed. */
  async start(): Promise<void> {
    await this.#subscribe();
    this.#loops = Promise.all([this.#superviseLoop(), this.#commitLoop()]);
  }

  /** Totals of the assigned partitions. */
  counters(): TaskCounters {
    let total = zeroCounters();
    for (const { task } of this.#running.values()) total = addCounters(total, task.counters);
    return total;
  }

  /** Records that wait to be processed; 0 while not subscribed. */
  async lag(): Promise<number> {
    return (await this.#subscription?.lag()) ?? 0;
  }

  /** Records processed but not committed yet. */
  uncommitted(): number {
    return this.#sum((task) => task.uncommitted);
  }

  /** Records that retention removed before this process could take them. */
  get expired(): number {
    return this.#expired;
  }

  /** Why it does not process, or undefined when it does. */
  problem(): string | undefined {
    if (this.#failure) return String((this.#failure as Error).message ?? this.#failure);
    return this.#subscription ? undefined : "not subscribed";
  }

  /** Puts other rules in force, each partition at its next commit; nothing is done when they mean the same. */
  async useRules(rules: readonly Rule[]): Promise<void> {
    const versions = (list: readonly Rule[]) => list.map(({ version }) => version).join();
    if (versions(rules) === versions(this.#operator.rules)) return;
    this.#operator = { ...this.#operator, rules };
    const tasks = [...this.#running.values()];
    await Promise.all(
      tasks.map(({ task, mutex }) => mutex.run(async () => task.useOperator(this.#operator))),
    );
  }

  /** Commits what was taken and releases the partitions. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#subscription?.close();
    await this.#loops;
  }

  async #subscribe(): Promise<void> {
    const { log, group } = this.#options;
    const subscription = await log.subscribe(group, TOPICS.readings, this.#handler());
    // Closed meanwhile: nobody else would end this one.
    if (this.#stop.signal.aborted) return subscription.close();
    this.#subscription = subscription;
    this.#failure = undefined;
  }

  #handler(): PartitionHandler {
    return {
      assigned: (partition) => this.#assigned(partition),
      batch: (partition, records) => this.#batch(partition, records),
      revoked: (partition, why) => this.#revoked(partition, why === "lost"),
      fellBehind: (partition, wanted, earliest) => {
        this.#expired += earliest - wanted;
        this.#metrics.recordsLost.inc(earliest - wanted);
        this.#logger.error(
          { partition, from: wanted, to: earliest },
          "retention removed unprocessed records [from, to)",
        );
      },
    };
  }

  async #assigned(partition: number): Promise<Offset> {
    const { clock, log, checkpoints, group } = this.#options;
    const began = clock.monotonicMs();
    const id = { group, topic: TOPICS.readings, partition };
    const earliest =
      (await log.ranges(TOPICS.readings)).find((range) => range.partition === partition)?.earliest ?? 0;
    const restore = async () => {
      const task = new PartitionTask({
        ...{ ...this.#options, operator: this.#operator },
        ...{ task: id, logger: this.#logger, writeTopics: true },
      });
      return { task, offset: await task.restore(earliest) };
    };
    const { task, offset } = await restore().catch((error) => {
      if (!hasCode(error, "STATE_CORRUPT")) throw error;
      this.#logger.error({ err: error, partition }, "state cannot be read: rebuilding it from the log");
      return checkpoints.discard(id).then(restore);
    });
    this.#running.set(partition, { task, mutex: new Mutex(), stop: new AbortController() });
    const seconds = (clock.monotonicMs() - began) / 1000;
    this.#metrics.restoreSeconds.observe(seconds);
    this.#logger.info({ partition, offset, seconds }, "partition assigned");
    return offset;
  }

  async #batch(partition: number, records: LogRecord[]): Promise<void> {
    const running = this.#running.get(partition);
    if (!running) throw new Error(`batch for partition ${partition}, which is not assigned`);
    await running.mutex.run(async () => {
      await this.#guarded(partition, () => running.task.process(records));
      if (running.task.uncommitted >= this.#options.maxRecordsPerCommit) await this.#commit(running);
    });
  }

  /** Runs operators; a state that they cannot read is dropped, to be rebuilt from the log. */
  async #guarded(partition: number, work: () => void): Promise<void> {
    try {
      work();
    } catch (error) {
      // What stopped half-way through its input must not be committed, not by a commit that waits already either.
      this.#running.get(partition)?.stop.abort();
      if (hasCode(error, "STATE_CORRUPT")) {
        const { checkpoints, group } = this.#options;
        await checkpoints.discard({ group, topic: TOPICS.readings, partition });
      }
      throw error;
    }
  }

  async #revoked(partition: number, lost: boolean): Promise<void> {
    const running = this.#running.get(partition);
    if (!running) return;
    try {
      if (lost) await giveUp(running);
      else await running.mutex.run(() => this.#commit(running, lastTry));
    } finally {
      // A commit that waits behind the last one must not be made: the partition may be somebody else's by then.
      running.stop.abort();
      this.#running.delete(partition);
      await this.#options.checkpoints.release({
        group: this.#options.group,
        topic: TOPICS.readings,
        partition,
      });
      this.#logger.info({ partition, lost }, "partition released");
    }
  }

  async #commit(running: Running, retryable = whileAway): Promise<void> {
    if (running.stop.signal.aborted) return;
    const { clock, onCommit } = this.#options;
    const began = clock.monotonicMs();
    const committed = await retry(() => running.task.commit(), {
      clock,
      signal: AbortSignal.any([this.#stop.signal, running.stop.signal]),
      retryable,
      onRetry: (error, attempt, delayMs) => {
        this.#metrics.commitRetries.inc();
        this.#logger.warn({ err: error, attempt, delayMs }, "commit failed, trying again");
      },
    });
    if (!committed) return;
    this.#metrics.commitSeconds.observe((clock.monotonicMs() - began) / 1000);
    for (const kind of ["rollups", "alerts", "devices"] as const) {
      this.#metrics.rowsCommitted.inc({ kind }, committed[kind].length);
    }
    const now = clock.now();
    for (const { lastTs, lastIngestTs } of committed.devices) {
      // A device's clock may be ahead, by up to ingest.maxClockSkew.
      this.#metrics.eventToStoreSeconds.observe(Math.max(0, now - lastTs) / 1000);
      this.#metrics.ingestToStoreSeconds.observe(Math.max(0, now - lastIngestTs) / 1000);
    }
    onCommit?.(committed);
  }

  async #commitLoop(): Promise<void> {
    const { clock, commitIntervalMs } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await clock.sleep(commitIntervalMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      const commits = [...this.#running].map(([partition, running]) =>
        running.mutex.run(async () => {
          // What an earlier commit has not finished comes first.
          await this.#commit(running);
          if (await this.#tick(partition, running)) await this.#commit(running);
        }),
      );
      for (const result of await Promise.allSettled(commits)) {
        if (result.status === "rejected" && !signal.aborted) await this.#abandon(result.reason);
      }
    }
  }

  /** At the end of the log the wall clock stands in for its time: a silent device adds nothing to it. */
  async #tick(partition: number, { task, stop }: Running): Promise<boolean> {
    const nowMs = this.#options.clock.now() - SILENCE_GRACE_MS;
    if (stop.signal.aborted || !task.silenceDue(nowMs)) return false;
    const end = await this.#endOf(partition);
    if (stop.signal.aborted || end !== task.next) return false;
    await this.#guarded(partition, () => task.tick(nowMs));
    return true;
  }

  /** Undefined while the log is away: then nobody can say that it has ended. */
  async #endOf(partition: number): Promise<Offset | undefined> {
    try {
      const ranges = await this.#options.log.ranges(TOPICS.readings);
      return ranges.find((range) => range.partition === partition)?.next;
    } catch (error) {
      if (!hasCode(error, "LOG_UNAVAILABLE")) throw error;
      this.#logger.warn({ err: error, partition }, "cannot see the end of the log: silence is judged later");
      return undefined;
    }
  }

  /** Subscribes again whenever the subscription ends with an error that passes by itself. */
  async #superviseLoop(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const ended = await this.#subscription!.done.then(
        () => undefined,
        (error: unknown) => error,
      );
      if (signal.aborted) return;
      await this.#abandon(ended ?? new SluiceError("LOG_UNAVAILABLE", "the subscription ended"));
      await clock.sleep(RESTART_DELAY_MS, signal).catch(() => undefined);
      await retry(() => this.#subscribe(), {
        clock,
        signal,
        retryable: () => true,
        onRetry: (error) => {
          this.#failure = error;
          this.#logger.error({ err: error }, "cannot subscribe, trying again");
        },
      }).catch(() => undefined);
    }
  }

  /** Gives up all tasks: their state is taken up again from the last commit. */
  async #abandon(error: unknown): Promise<void> {
    this.#failure = error;
    this.#logger.error({ err: error }, "processing stopped: starting again from the last commit");
    // What is being written must be over before the same partitions are taken up again.
    await Promise.all([...this.#running.values()].map(giveUp));
    this.#running.clear();
    await this.#subscription
      ?.close()
      .catch((err) => this.#logger.warn({ err }, "failed to close the subscription"));
  }

  #sum(value: (task: PartitionTask) => number): number {
    let total = 0;
    for (const { task } of this.#running.values()) total += value(task);
    return total;
  }
}

/** Ends a task without committing; resolves when nothing of it is under way any more. */
async function giveUp({ mutex, stop }: Running): Promise<void> {
  stop.abort();
  await mutex.run(() => undefined);
}

function whileAway(error: unknown): boolean {
  return hasCode(error, "STORE_UNAVAILABLE") || hasCode(error, "LOG_UNAVAILABLE");
}

/** On the way out a failed commit is not repeated: the log still holds its input. */
function lastTry(): boolean {
  return false;
}
