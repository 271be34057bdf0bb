/**
 * Offsets of partitions (what is retained, what a time maps to) and offsets committed by consumer groups.
 *
 * Ends are those of committed reading: what is in an open transaction is not there yet.
 */
import type { Broker } from "kafkajs";
import { hasCode, SluiceError } from "../../../contracts/errors.js";
import type { Clock } from "../../../contracts/ports/clock.js";
import type { Offset, PartitionRange } from "../../../contracts/ports/log.js";
import { systemClock } from "../../../runtime/clock.js";
import type { ClusterHandle } from "./client.js";
import { protocolError } from "./errors.js";

/** @throws SluiceError LOG_UNKNOWN_TOPIC, LOG_UNAVAILABLE */
export async function ranges(cluster: ClusterHandle, topic: string): Promise<PartitionRange[]> {
  const partitions = (await cluster.partitions(topic)).map(({ partition }) => ({ partition }));
  return retryOnStaleLeader(cluster, topic, () =>
    cluster.use(`offsets of ${topic}`, async (kafka) => {
      const [[low], [high]] = await Promise.all([
        kafka.fetchTopicsOffset([{ topic, partitions, fromBeginning: true }]),
        kafka.fetchTopicsOffset([{ topic, partitions, fromBeginning: false }]),
      ]);
      const next = new Map(high?.partitions.map((one) => [one.partition, Number(one.offset)]));
      const found = low?.partitions ?? [];
      return found
        .map(({ partition, offset }) => ({ partition, earliest: Number(offset), next: next.get(partition)! }))
        .sort((a, b) => a.partition - b.partition);
    }),
  );
}

/** The retained range of one partition. @throws SluiceError LOG_UNKNOWN_TOPIC, LOG_UNAVAILABLE */
export async function range(
  cluster: ClusterHandle,
  topic: string,
  partition: number,
): Promise<PartitionRange> {
  const found = (await ranges(cluster, topic)).find((one) => one.partition === partition);
  if (found === undefined) throw unknownPartition(topic, partition);
  return found;
}

/** @throws SluiceError LOG_UNKNOWN_TOPIC, LOG_UNAVAILABLE */
export async function offsetForTime(
  cluster: ClusterHandle,
  topic: string,
  partition: number,
  timestampMs: number,
): Promise<Offset> {
  const { next } = await range(cluster, topic, partition);
  // Kafka reads negative times as commands (-1 latest, -2 earliest): no record is older than the epoch.
  const fromTimestamp = Math.max(0, Math.ceil(timestampMs));
  const [found] = await retryOnStaleLeader(cluster, topic, () =>
    cluster.use(`offset of ${topic}/${partition} at ${timestampMs}`, (kafka) =>
      kafka.fetchTopicsOffset([{ topic, partitions: [{ partition }], fromTimestamp }]),
    ),
  );
  const offset = Number(found?.partitions[0]?.offset ?? -1);
  return offset < 0 ? next : offset;
}

const LEADER_TRIES = 20;
const LEADER_WAIT_MS = 100;

/**
 * Metadata is cached: after a leader moved, the first request goes to the wrong broker. A new topic's leader may not
 * know of its office yet: that takes a moment.
 */
async function retryOnStaleLeader<T>(
  cluster: ClusterHandle,
  topic: string,
  work: () => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      const settling = isLeaderMissing(error) && tries < LEADER_TRIES;
      if (!hasCode(error, "LOG_UNAVAILABLE") || (tries > 1 && !settling)) throw error;
      if (tries > 1) await systemClock.sleep(LEADER_WAIT_MS);
      await cluster.partitions(topic, { fresh: true });
    }
  }
}

function isLeaderMissing(error: unknown): boolean {
  const type = protocolError(error);
  return type === "NOT_LEADER_FOR_PARTITION" || type === "LEADER_NOT_AVAILABLE";
}

function unknownPartition(topic: string, partition: number): SluiceError {
  return new SluiceError("LOG_UNKNOWN_TOPIC", `there is no partition ${partition} of topic ${topic}`);
}

/** Where requests about groups go, and the clock their retries wait by. */
export interface GroupContext {
  cluster: ClusterHandle;
  clock: Clock;
}

/** The group's committed offset; undefined when there is none. @throws SluiceError LOG_UNAVAILABLE */
export function committed(
  context: GroupContext,
  group: string,
  topic: string,
  partition: number,
): Promise<Offset | undefined> {
  return withCoordinator(context, group, `committed offset of ${group}`, async (coordinator) => {
    // The typings ask for offsets in the question, too.
    const topics = [{ topic, partitions: [{ partition, offset: "0" }] }];
    const { responses } = await coordinator.offsetFetch({ groupId: group, topics });
    const offset = Number(responses[0]?.partitions[0]?.offset ?? -1);
    return offset < 0 ? undefined : offset;
  });
}

/** Who commits: a live member in its generation, or, as -1 and "", nobody in particular while the group is empty. */
export interface Committer {
  memberId: string;
  generationId: number;
}

export const NO_MEMBER: Committer = { memberId: "", generationId: -1 };

/** @throws SluiceError FENCED when the group does not know `committer` in this generation, LOG_UNAVAILABLE */
export function commit(
  context: GroupContext,
  committer: Committer,
  at: { group: string; topic: string; partition: number; offset: Offset },
): Promise<void> {
  return withCoordinator(context, at.group, `commit of ${at.group}`, async (coordinator) => {
    await coordinator.offsetCommit({
      groupId: at.group,
      groupGenerationId: committer.generationId,
      memberId: committer.memberId,
      topics: [{ topic: at.topic, partitions: [{ partition: at.partition, offset: String(at.offset) }] }],
    });
  });
}

/** How long an operation on a group outlasts the loss of its coordinator. */
const COORDINATOR_LIMIT_MS = 15_000;
const COORDINATOR_RETRY_MS = 250;

/** A coordinator moves when its broker goes. Until the cluster has noticed that, the dead one is still named. */
async function withCoordinator<T>(
  { cluster, clock }: GroupContext,
  group: string,
  doing: string,
  work: (coordinator: Broker) => Promise<T>,
): Promise<T> {
  const startedMs = clock.monotonicMs();
  for (;;) {
    try {
      return await cluster.use(doing, async (kafka) => {
        await kafka.refreshMetadataIfNecessary();
        return work(await kafka.findGroupCoordinator({ groupId: group }));
      });
    } catch (error) {
      const late = clock.monotonicMs() - startedMs > COORDINATOR_LIMIT_MS;
      if (late || !hasCode(error, "LOG_UNAVAILABLE")) throw error;
    }
    await clock.sleep(COORDINATOR_RETRY_MS);
    await cluster.reset();
  }
}
