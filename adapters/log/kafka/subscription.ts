/**
 * A subscription: one member of a consumer group, and for each of its partitions a task that calls the handler:
 * `assigned` once, `batch` one after the other, `revoked` once. Tasks of different partitions run beside each other.
 *
 * Why a partition goes away: `rebalanced` while the group still counts on us (nobody has the partition until
 * `revoked` resolved), `lost` when the group dropped us or our session ran out (somebody may have it already),
 * `closing` when this side ends, be it by `close` or by an error.
 */
import { hasCode, SluiceError } from "../../../contracts/errors.js";
import type { Clock } from "../../../contracts/ports/clock.js";
import type { Offset, PartitionHandler, Subscription } from "../../../contracts/ports/log.js";
import type { Logger } from "../../../runtime/logger.js";
import type { ClusterHandle } from "./client.js";
import { protocolError } from "./errors.js";
import { Fetcher } from "./fetcher.js";
import { type GroupTimes, Membership } from "./membership.js";
import type { KafkaMetrics } from "./metrics.js";
import { commit, ranges } from "./offsets.js";
import { PartitionTask, type Why } from "./partition-task.js";

export interface SubscriptionOptions {
  group: string;
  topic: string;
  handler: PartitionHandler;
  clock: Clock;
  logger: Logger;
  metrics: KafkaMetrics;
  times: GroupTimes;
  /** For joining and heartbeats: a join that waits for other members holds up its connection. */
  groupCluster: ClusterHandle;
  /** For fetches; owned by the subscription like `groupCluster`. */
  dataCluster: ClusterHandle;
  /** For short requests; shared, not owned. */
  control: ClusterHandle;
}

const COMMIT_RETRY_MS = 100;
const COMMIT_LIMIT_MS = 30_000;
/** The generation changed under a commit: it is good again once this member knows the new one. */
const BETWEEN_GENERATIONS = new Set(["REBALANCE_IN_PROGRESS", "ILLEGAL_GENERATION"]);

export class KafkaSubscription implements Subscription {
  readonly group: string;
  readonly topic: string;
  readonly done: Promise<void>;
  readonly #options: SubscriptionOptions;
  readonly #fetcher: Fetcher;
  readonly #membership: Membership;
  readonly #tasks = new Map<number, PartitionTask>();
  /** The latest assignment: a task that is being let go may be wanted again. */
  #wanted = new Set<number>();
  #ending: Promise<void> | undefined;
  #failure: { error: unknown } | undefined;
  #settle: (error?: { error: unknown }) => void = () => {};

  constructor(options: SubscriptionOptions) {
    const { group, topic, clock, logger, metrics } = options;
    this.group = group;
    this.topic = topic;
    this.#options = options;
    this.#fetcher = new Fetcher({ cluster: options.dataCluster, topic, clock, logger, metrics });
    this.#membership = new Membership({
      ...{ cluster: options.groupCluster, clock, logger, times: options.times, group, topic },
      onJoin: () => metrics.rebalances.inc({ group }),
      hooks: {
        owned: () => [...this.#tasks.keys()],
        assign: (partitions) => this.#assign(partitions),
        lost: () => this.#lost(),
      },
    });
    this.done = new Promise((resolve, reject) => {
      this.#settle = (failure) => (failure === undefined ? resolve() : reject(failure.error));
    });
    this.done.catch(() => undefined); // logged when it happens; a caller who does not look must not crash
    this.#membership.run().catch((error: unknown) => this.#fail(error, "lost"));
  }

  /** Partitions in the hands of the handler, those being let go included. */
  assigned(): number[] {
    return [...this.#tasks.keys()].sort((a, b) => a - b);
  }

  async lag(): Promise<number> {
    const ends = new Map(
      (await ranges(this.#options.control, this.topic)).map((one) => [one.partition, one]),
    );
    let lag = 0;
    for (const [partition, task] of this.#tasks) {
      const range = ends.get(partition);
      if (range === undefined || task.position === undefined) continue;
      lag += Math.max(0, range.next - Math.max(task.position, range.earliest));
    }
    return lag;
  }

  /** True when a commit for the partition would be in our name. */
  owns(partition: number): boolean {
    const task = this.#tasks.get(partition);
    return task !== undefined && task.why !== "lost";
  }

  /** @throws SluiceError FENCED when the partition is not ours (any more), LOG_UNAVAILABLE */
  async commit(partition: number, offset: Offset): Promise<void> {
    const { control, clock, group, topic } = this.#options;
    const startedMs = clock.monotonicMs();
    for (;;) {
      const committer = this.#membership.committer();
      if (!this.owns(partition) || committer === undefined) throw fenced(this, partition);
      try {
        return await commit({ cluster: control, clock }, committer, { group, topic, partition, offset });
      } catch (error) {
        const passes =
          hasCode(error, "LOG_UNAVAILABLE") || BETWEEN_GENERATIONS.has(protocolError(error) ?? "");
        if (!passes || clock.monotonicMs() - startedMs > COMMIT_LIMIT_MS) throw error;
        await clock.sleep(COMMIT_RETRY_MS);
      }
    }
  }

  async close(): Promise<void> {
    await this.#end("closing");
  }

  /** Starts what is new, lets go of what is not in the assignment. True when something had to be let go. */
  async #assign(partitions: readonly number[]): Promise<boolean> {
    this.#wanted = new Set(partitions);
    const leaving: Promise<void>[] = [];
    for (const [partition, task] of this.#tasks) {
      if (!this.#wanted.has(partition)) leaving.push(this.#release(task, "rebalanced"));
    }
    for (const partition of partitions) this.#start(partition);
    await Promise.all(leaving);
    return leaving.length > 0;
  }

  async #lost(): Promise<void> {
    this.#wanted.clear();
    await Promise.all([...this.#tasks.values()].map((task) => this.#release(task, "lost")));
  }

  #start(partition: number): void {
    if (this.#ending !== undefined || this.#tasks.has(partition)) return;
    const { handler, control, clock, logger } = this.#options;
    const task = new PartitionTask({
      partition,
      topic: this.topic,
      handler,
      control,
      clock,
      logger,
      fetcher: this.#fetcher,
    });
    this.#tasks.set(partition, task);
    void task.run().then(
      () => this.#ended(task),
      (error: unknown) => {
        this.#fail(error, "closing");
        this.#ended(task);
      },
    );
  }

  #ended(task: PartitionTask): void {
    this.#tasks.delete(task.partition);
    // It was taken away and given back while it was still busy.
    if (this.#wanted.has(task.partition)) this.#start(task.partition);
  }

  async #release(task: PartitionTask, why: Why): Promise<void> {
    task.stop(why);
    await task.ended;
  }

  #fail(error: unknown, why: Why): void {
    if (this.#failure === undefined) {
      this.#failure = { error };
      this.#options.logger.error({ err: error }, "subscription ends with an error");
    }
    void this.#end(why);
  }

  #end(why: Why): Promise<void> {
    this.#ending ??= this.#endOnce(why);
    return this.#ending;
  }

  /** The running batches finish, the group hears of it only then: until that the partitions are nobody else's. */
  async #endOnce(why: Why): Promise<void> {
    this.#wanted.clear();
    await Promise.all([...this.#tasks.values()].map((task) => this.#release(task, why)));
    try {
      await this.#membership.stop();
      await this.#fetcher.close();
      await this.#options.groupCluster.close();
    } catch (error) {
      this.#failure ??= { error };
      this.#options.logger.error({ err: error }, "subscription did not close cleanly");
    }
    this.#settle(this.#failure);
  }
}

function fenced(subscription: KafkaSubscription, partition: number): SluiceError {
  const what = `partition ${partition} of ${subscription.topic}`;
  return new SluiceError("FENCED", `${what} is not ours in group ${subscription.group} any more`);
}
