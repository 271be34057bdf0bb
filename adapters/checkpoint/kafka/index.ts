/**
 * Checkpoints on Kafka: the state of each task lives in its partition of a compacted changelog topic, and in memory
 * while this process has the task.
 *
 * Guarantees: state and input offset commit in one transaction, all or nothing. `restore` takes ownership: a commit
 * by an earlier owner is refused with FENCED and writes nothing (see task-changelog.ts). Outputs are the store's
 * business: see {@link KafkaCheckpoints.withOutputs}.
 */
import { SluiceError } from "../../../contracts/errors.js";
import type { Checkpoint, Checkpoints, RestoredTask, TaskId } from "../../../contracts/ports/checkpoint.js";
import type { Clock } from "../../../contracts/ports/clock.js";
import type { Store, StoreBatch } from "../../../contracts/ports/store.js";
import type { Logger } from "../../../runtime/logger.js";
import type { Registry } from "../../../runtime/metrics.js";
import { type ChangelogOptions, KafkaChangelogs } from "../../log/kafka/changelog.js";
import { isEmptyBatch } from "../../store/batch.js";
import type { OutputsFirstOptions } from "../outputs-first.js";
import { type CheckpointMetrics, checkpointMetrics } from "./metrics.js";
import { type RestoreProgress, TaskChangelog } from "./task-changelog.js";

export type { RestoreProgress } from "./task-changelog.js";

export interface KafkaCheckpointsOptions extends Pick<ChangelogOptions, "ssl" | "sasl"> {
  /** `host:port` of some brokers of the cluster. */
  brokers: readonly string[];
  clientId: string;
  clock: Clock;
  logger: Logger;
  registry?: Registry;
  /** Copies of each changelog that is created. Default: 3, or as many as there are brokers. */
  replicationFactor?: number;
  /** Told after every batch that a restore has read; long restores are also logged. */
  onProgress?: (progress: RestoreProgress) => void;
}

/** Opens the checkpoints. Connects when they are used. */
export function openKafkaCheckpoints(options: KafkaCheckpointsOptions): KafkaCheckpoints {
  return new KafkaCheckpoints(options);
}

export class KafkaCheckpoints implements Checkpoints {
  readonly #options: KafkaCheckpointsOptions;
  readonly #logger: Logger;
  readonly #metrics: CheckpointMetrics;
  readonly #changelogs: KafkaChangelogs;
  readonly #tasks = new Map<string, TaskChangelog>();
  #closed: Promise<void> | undefined;

  constructor(options: KafkaCheckpointsOptions) {
    this.#options = options;
    this.#logger = options.logger.child({ module: "kafka-checkpoints" });
    this.#metrics = checkpointMetrics(options.registry, {
      entries: () => this.#sum((task) => task.state.size),
      bytes: () => this.#sum((task) => task.state.bytes),
    });
    this.#changelogs = new KafkaChangelogs({
      ...options,
      logger: this.#logger,
      reconnects: this.#metrics.reconnects,
    });
  }

  /**
   * Takes the task over from whoever had it, and reads its state into memory.
   * @throws SluiceError LOG_UNAVAILABLE; STATE_CORRUPT (`discard` then clears it); FENCED when another owner came at the
   * same time; LOG_UNKNOWN_TOPIC without an input topic; CONFIG_INVALID when the changelog does not fit it
   */
  async restore(task: TaskId): Promise<RestoredTask> {
    this.#assertOpen();
    return this.#task(task).restore();
  }

  /**
   * These checkpoints together with the store that takes the outputs. The order of a commit is: state entries to the
   * broker, which refuses them from an owner that was replaced; outputs to the store; then the state is committed. So a
   * crash repeats outputs (upserts of absolute values, INV-5) and loses none, and an owner that was replaced does not
   * overwrite the outputs of the next one, unless it is frozen between the first step and the second.
   */
  withOutputs(store: Pick<Store, "write">, { onRejected }: OutputsFirstOptions): Checkpoints {
    return {
      restore: (task) => this.restore(task),
      commit: async (task, checkpoint, outputs) => {
        this.#assertOpen();
        await this.#task(task).commit(checkpoint, async () => {
          const rejected = isEmptyBatch(outputs) ? [] : await store.write(outputs);
          if (rejected.length > 0) await onRejected(rejected);
        });
      },
      discard: (task) => this.discard(task),
      release: (task) => this.release(task),
      close: () => this.close(),
    };
  }

  /**
   * `outputs` must be empty.
   * @throws SluiceError LOG_UNAVAILABLE (the outcome is unknown; repeat it), FENCED, LOG_RECORD_TOO_LARGE
   */
  async commit(task: TaskId, checkpoint: Checkpoint, outputs: StoreBatch): Promise<void> {
    this.#assertOpen();
    if (!isEmptyBatch(outputs)) throw new TypeError("checkpoints on Kafka take no outputs: see withOutputs");
    await this.#task(task).commit(checkpoint);
  }

  /** Takes the task over if it was not restored here. @throws SluiceError LOG_UNAVAILABLE, FENCED */
  async discard(task: TaskId): Promise<void> {
    this.#assertOpen();
    await this.#task(task).discard();
  }

  async release(task: TaskId): Promise<void> {
    const key = taskKey(task);
    const released = this.#tasks.get(key);
    await released?.close();
    if (this.#tasks.get(key) === released) this.#tasks.delete(key);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Commits under way finish, reads end. */
  async #close(): Promise<void> {
    await Promise.all([
      this.#changelogs.close(),
      ...Array.from(this.#tasks.values(), (task) => task.close()),
    ]);
    this.#tasks.clear();
  }

  #task(task: TaskId): TaskChangelog {
    const key = taskKey(task);
    let changelog = this.#tasks.get(key);
    if (changelog === undefined) {
      changelog = new TaskChangelog({
        task: { group: task.group, topic: task.topic, partition: task.partition },
        changelogs: this.#changelogs,
        clock: this.#options.clock,
        logger: this.#logger,
        metrics: this.#metrics,
        onProgress: this.#options.onProgress,
      });
      this.#tasks.set(key, changelog);
    }
    return changelog;
  }

  #sum(value: (task: TaskChangelog) => number): number {
    let total = 0;
    for (const task of this.#tasks.values()) total += value(task);
    return total;
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw new SluiceError("LOG_CLOSED", "the checkpoints were closed");
  }
}

function taskKey({ group, topic, partition }: TaskId): string {
  return JSON.stringify([group, topic, partition]);
}
