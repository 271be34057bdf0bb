/**
 * For tests only: a producer that uses a task's transactional id without claiming the task, as no owner does.
 */
import kafkajs, { type Transaction } from "kafkajs";
import type { TaskId } from "../../../../contracts/ports/checkpoint.js";
import { changelogTopic } from "../entries.js";

export interface Intruder {
  /** Begins a transaction, which fences the owner, and writes raw records into the task's changelog. */
  write(records: { key: string; value: string }[]): Promise<Transaction>;
  close(): Promise<void>;
}

export async function intrude(brokers: string[], task: TaskId): Promise<Intruder> {
  const topic = changelogTopic(task);
  const kafka = new kafkajs.Kafka({ brokers, clientId: "intruder", logLevel: kafkajs.logLevel.NOTHING });
  const transactionalId = `${topic}/${task.partition}`;
  const producer = kafka.producer({ transactionalId, maxInFlightRequests: 1, allowAutoTopicCreation: false });
  await producer.connect();
  return {
    async write(records) {
      const transaction = await producer.transaction();
      const messages = records.map((record) => ({ ...record, partition: task.partition }));
      await transaction.send({ topic, messages });
      return transaction;
    },
    close: () => producer.disconnect(),
  };
}
