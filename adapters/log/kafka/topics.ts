/**
 * Creates topics and keeps their retention as configured. Never changes a partition count: keys would move.
 */
import kafkajs, { type Admin, type Kafka } from "kafkajs";
import { SluiceError } from "../../../contracts/errors.js";
import type { Clock } from "../../../contracts/ports/clock.js";
import type { TopicSpec } from "../../../contracts/topics.js";
import type { Logger } from "../../../runtime/logger.js";
import type { ClusterHandle } from "./client.js";
import { protocolError, toSluiceError } from "./errors.js";

export interface TopicsContext {
  kafka: Kafka;
  control: ClusterHandle;
  clock: Clock;
  logger: Logger;
  /** Copies of each partition; undefined: three, or as many as there are brokers. */
  replicationFactor: number | undefined;
}

type Settings = Record<string, string>;

/** `DescribeConfigs` source of a setting made on the topic itself. */
const DYNAMIC_TOPIC_CONFIG = 1;
const DEFAULT_REPLICATION = 3;
const SPREAD_POLL_MS = 50;
const SPREAD_LIMIT_MS = 15_000;

/** @throws SluiceError LOG_UNAVAILABLE */
export async function ensureTopics(context: TopicsContext, specs: readonly TopicSpec[]): Promise<void> {
  if (specs.length === 0) return;
  const admin = context.kafka.admin();
  try {
    await admin.connect();
    const existing = new Set(await admin.listTopics());
    const missing = specs.filter((spec) => !existing.has(spec.name));
    if (missing.length > 0) await createTopics(context, admin, missing);
    const present = specs.filter((spec) => existing.has(spec.name));
    if (present.length > 0) await updateTopics(context, admin, present);
  } catch (error) {
    throw toSluiceError(error, "creating topics");
  } finally {
    await admin.disconnect();
  }
}

/** Creates topics that are not there. A topic has the settings that `settingsOf` gives, besides those for durability. */
export async function createTopics(
  context: TopicsContext,
  admin: Admin,
  specs: readonly TopicSpec[],
  settingsOf: (spec: TopicSpec) => Settings = retention,
): Promise<void> {
  const { brokers } = await admin.describeCluster();
  const replicationFactor = context.replicationFactor ?? Math.min(DEFAULT_REPLICATION, brokers.length);
  for (const spec of specs) {
    const settings = { ...settingsOf(spec), ...durability(replicationFactor) };
    const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
    const topic = { topic: spec.name, numPartitions: spec.partitions, replicationFactor, configEntries };
    try {
      await admin.createTopics({ topics: [topic], waitForLeaders: false });
    } catch (error) {
      // Another process starting at the same time was faster.
      if (protocolError(error) !== "TOPIC_ALREADY_EXISTS") throw error;
    }
    context.logger.info(
      { topic: spec.name, partitions: spec.partitions, replicationFactor },
      "topic created",
    );
  }
  await known(
    context,
    specs.map((spec) => spec.name),
  );
}

/**
 * Waits until every broker that answers knows the topics: the controller tells them one after the other, and one that
 * has not heard yet would deny that the topic exists. (kafkajs's own wait takes that denial for an error.)
 */
async function known(context: TopicsContext, topics: string[]): Promise<void> {
  const startedMs = context.clock.monotonicMs();
  while (!(await everyBrokerKnows(context, topics))) {
    if (context.clock.monotonicMs() - startedMs > SPREAD_LIMIT_MS) {
      throw new SluiceError(
        "LOG_UNAVAILABLE",
        `topics ${topics.join(", ")} were created, but have no leaders yet`,
      );
    }
    await context.clock.sleep(SPREAD_POLL_MS);
  }
}

const NOT_YET = new Set(["UNKNOWN_TOPIC_OR_PARTITION", "LEADER_NOT_AVAILABLE"]);

function everyBrokerKnows({ control, logger }: TopicsContext, topics: string[]): Promise<boolean> {
  return control.use("waiting for new topics", async (cluster) => {
    await cluster.refreshMetadata();
    for (const nodeId of cluster.getNodeIds()) {
      try {
        await (await cluster.findBroker({ nodeId: String(nodeId) })).metadata(topics);
      } catch (error) {
        if (NOT_YET.has(protocolError(error) ?? "")) return false;
        logger.warn({ err: error, nodeId }, "a broker could not be asked about new topics");
      }
    }
    return true;
  });
}

/** Kafka's `-1` keeps for ever; a topic without a limit by size has `-1` there, too. */
export function retention(spec: TopicSpec): Settings {
  return {
    "retention.ms": String(spec.retentionMs ?? -1),
    "retention.bytes": String(spec.retentionBytes ?? -1),
  };
}

/** With three copies an acknowledged record is in two of them, and one broker may be away. */
function durability(replicationFactor: number): Settings {
  return replicationFactor >= 3 ? { "min.insync.replicas": "2" } : {};
}

async function updateTopics(
  context: TopicsContext,
  admin: Admin,
  specs: readonly TopicSpec[],
): Promise<void> {
  const { topics } = await admin.fetchTopicMetadata({ topics: specs.map((spec) => spec.name) });
  const counts = new Map(topics.map((topic) => [topic.name, topic.partitions.length]));
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: specs.map((spec) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name: spec.name })),
  });
  for (const spec of specs) {
    const has = counts.get(spec.name);
    if (has !== spec.partitions) {
      context.logger.warn(
        { topic: spec.name, partitions: has, configured: spec.partitions },
        "topic has another partition count than configured; it is kept",
      );
    }
    const entries = resources.find((one) => one.resourceName === spec.name)?.configEntries ?? [];
    const changed = changedSettings(entries as ConfigEntry[], retention(spec));
    if (changed === undefined) continue;
    const configEntries = Object.entries(changed).map(([name, value]) => ({ name, value }));
    const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name: spec.name, configEntries };
    await admin.alterConfigs({ validateOnly: false, resources: [resource] });
    context.logger.info({ topic: spec.name, ...retention(spec) }, "topic retention updated");
  }
}

/** As Kafka answers: kafkajs's typings lack `configSource` in places and have its values wrong. */
export interface ConfigEntry {
  configName: string;
  configValue: string;
  configSource?: number;
  isDefault?: boolean;
}

/**
 * All settings the topic is to have, or undefined when it has them. `AlterConfigs` replaces every setting made on the
 * topic, so what somebody else set there is part of the answer; what is inherited from the broker is not.
 */
export function changedSettings(entries: readonly ConfigEntry[], wanted: Settings): Settings | undefined {
  const values = new Map(entries.map((entry) => [entry.configName, entry.configValue]));
  if (Object.entries(wanted).every(([name, value]) => values.get(name) === value)) return undefined;
  const own = entries.filter((entry) => entry.configSource === DYNAMIC_TOPIC_CONFIG);
  return { ...Object.fromEntries(own.map((entry) => [entry.configName, entry.configValue])), ...wanted };
}
