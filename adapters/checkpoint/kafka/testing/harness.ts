/**
 * For tests only: a real broker with input topics, instances of checkpoints on it, and short ways to say things.
 */
import { after, afterEach, before } from "node:test";
import { hasCode } from "../../../../contracts/errors.js";
import type { Checkpoint, RestoredTask, TaskId } from "../../../../contracts/ports/checkpoint.js";
import { systemClock } from "../../../../runtime/clock.js";
import { createLogger } from "../../../../runtime/logger.js";
import { openKafkaLog } from "../../../log/kafka/index.js";
import { TestBroker } from "../../../log/kafka/testing/broker.js";
import { type KafkaCheckpoints, openKafkaCheckpoints } from "../index.js";
import { type Child, startChild } from "./child.js";

export const logger = createLogger(process.env.SLUICE_TEST_LOG ?? "silent");

export async function start() {
  const broker = await TestBroker.start();
  const { brokers } = broker;
  const log = await openKafkaLog({ brokers, clientId: "contract", clock: systemClock, logger });
  await log.ensureTopics([
    { name: "telemetry.readings", partitions: 1 },
    { name: "t", partitions: 11 },
    { name: "t1", partitions: 1 },
  ]);
  await log.close();
  return { broker, brokers };
}

/** A broker for a group of tests; instances are closed after each. */
export function withBroker() {
  let started: Awaited<ReturnType<typeof start>>;
  let opened: KafkaCheckpoints[] = [];
  let children: Child[] = [];
  let groups = 0;
  before(async () => {
    started = await start();
  });
  afterEach(async () => {
    await Promise.all(children.map((child) => child.stop("SIGKILL")));
    await Promise.all(opened.map((checkpoints) => checkpoints.close()));
    opened = [];
    children = [];
  });
  after(() => started.broker.stop());
  return {
    broker: () => started.broker,
    brokers: () => started.brokers,
    open(more: Partial<Parameters<typeof openKafkaCheckpoints>[0]> = {}): KafkaCheckpoints {
      const { brokers } = started;
      const checkpoints = openKafkaCheckpoints({
        brokers,
        clientId: "test",
        clock: systemClock,
        logger,
        ...more,
      });
      opened.push(checkpoints);
      return checkpoints;
    },
    task: (): TaskId => ({ group: `group-${++groups}`, topic: "telemetry.readings", partition: 0 }),
    committer({ group, topic }: TaskId, entries: number): Child {
      const args = [started.brokers.join(), group, topic, String(entries)];
      const child = startChild(import.meta.url, "committer", args);
      children.push(child);
      return child;
    },
  };
}

export function change(offset: number, state: Record<string, string | null>): Checkpoint {
  const entries = Object.entries(state).map(
    ([key, value]) => [key, value === null ? null : Buffer.from(value)] as const,
  );
  return { offset, state: new Map(entries) };
}

export function contents(restored: RestoredTask): Record<string, string> {
  const entries = Array.from(
    restored.entries(),
    ([key, value]) => [key, Buffer.from(value).toString()] as const,
  );
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

export const fenced = (error: unknown) => hasCode(error, "FENCED");
export const unavailable = (error: unknown) => hasCode(error, "LOG_UNAVAILABLE");

export async function eventually(work: () => Promise<void>): Promise<void> {
  const giveUpAt = Date.now() + 60_000;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!unavailable(error) || Date.now() > giveUpAt) throw error;
      await systemClock.sleep(100);
    }
  }
}
