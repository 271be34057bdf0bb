/**
 * Checkpoints on a real Kafka: the contract suite, and what only a broker can show: fencing, aborted transactions,
 * owners killed in mid-commit, compaction.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { openKafkaCheckpoints } from "../../adapters/checkpoint/kafka/index.js";
import { outputsThenCheckpoint } from "../../adapters/checkpoint/outputs-first.js";
import { openKafkaLog } from "../../adapters/log/kafka/index.js";
import { missingForKafka, TestBroker } from "../../adapters/log/kafka/testing/broker.js";
import { systemClock } from "../../runtime/clock.js";
import { createLogger } from "../../runtime/logger.js";
import { checkpointContractSuite } from "../../testkit/contracts/checkpoint-suite.js";
import { MemoryStateData, MemoryStore } from "../../testkit/memory-state.js";

const missing = missingForKafka();
const logger = createLogger(process.env.SLUICE_TEST_LOG ?? "silent");

if (missing !== undefined) {
  console.error(missing);
  describe("checkpoint contract: kafka", { skip: missing }, () => {});
} else {
  checkpointContractSuite("kafka", openSuite);
}

async function openSuite() {
  const { brokers, stop } = await start();
  const store = new MemoryStore(new MemoryStateData());
  const open = (clientId: string) =>
    outputsThenCheckpoint(openKafkaCheckpoints({ brokers, clientId, clock: systemClock, logger }), store, {
      onRejected: async () => assert.fail("the memory store refuses nothing"),
    });
  const [checkpoints, rival] = [open("contract"), open("rival")];
  return {
    ...{ checkpoints, rival, store },
    close: async () => {
      await Promise.all([checkpoints.close(), rival.close()]);
      await stop();
    },
  };
}

async function start() {
  const broker = await TestBroker.start();
  const log = await openKafkaLog({
    brokers: broker.brokers,
    clientId: "contract",
    clock: systemClock,
    logger,
  });
  await log.ensureTopics([
    { name: "telemetry.readings", partitions: 1 },
    { name: "t", partitions: 11 },
    { name: "t1", partitions: 1 },
  ]);
  await log.close();
  return { brokers: broker.brokers, stop: () => broker.stop() };
}
