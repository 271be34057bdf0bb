/**
 * A look at a cluster and its topics that changes nothing: for diagnosis.
 */
import kafkajs from "kafkajs";
import { createKafka, type KafkaClientOptions } from "./client.js";
import { toSluiceError } from "./errors.js";

export interface KafkaTopic {
  name: string;
  partitions: number;
  /** Copies of the partition that has the fewest, and how many of those keep up. */
  replicas: number;
  inSync: number;
  /** Settings in force by their Kafka names, defaults of the brokers included. */
  settings: Record<string, string>;
}

export interface KafkaCluster {
  brokers: number;
  /** Those asked for that exist. */
  topics: KafkaTopic[];
}

/** @throws SluiceError LOG_UNAVAILABLE */
export async function inspectKafka(
  options: KafkaClientOptions,
  wanted: readonly string[],
): Promise<KafkaCluster> {
  const admin = createKafka(options).admin();
  try {
    await admin.connect();
    const { brokers } = await admin.describeCluster();
    const existing = new Set(await admin.listTopics());
    const names = wanted.filter((name) => existing.has(name));
    if (names.length === 0) return { brokers: brokers.length, topics: [] };
    const { topics } = await admin.fetchTopicMetadata({ topics: names });
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: names.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name })),
    });
    const described = topics.map(({ name, partitions }): KafkaTopic => {
      const entries = resources.find((resource) => resource.resourceName === name)?.configEntries ?? [];
      return {
        name,
        partitions: partitions.length,
        replicas: Math.min(...partitions.map((partition) => partition.replicas.length)),
        inSync: Math.min(...partitions.map((partition) => partition.isr.length)),
        settings: Object.fromEntries(entries.map((entry) => [entry.configName, entry.configValue])),
      };
    });
    return { brokers: brokers.length, topics: described };
  } catch (error) {
    throw toSluiceError(error, "looking at topics");
  } finally {
    await admin.disconnect();
  }
}
