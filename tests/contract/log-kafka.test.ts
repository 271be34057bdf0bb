/**
 * The Kafka adapter against a real broker: the contract suite of the log port, and what only a broker can show.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { openKafkaLog } from "../../adapters/log/kafka/index.js";
import { deleteBefore, missingForKafka, TestBroker } from "../../adapters/log/kafka/test-support.js";
import type { Log } from "../../contracts/ports/log.js";
import { systemClock } from "../../runtime/clock.js";
import { createLogger } from "../../runtime/logger.js";
import { logContractSuite } from "../../testkit/contracts/log-suite.js";

const MAX_RECORD_BYTES = 100_000;
const missing = missingForKafka();

function open(brokers: string[]): Promise<Log> {
  return openKafkaLog({
    brokers,
    clientId: "contract",
    clock: systemClock,
    logger: createLogger(process.env.SLUICE_TEST_LOG ?? "silent"),
    maxRecordBytes: MAX_RECORD_BYTES,
    sessionTimeoutMs: 6_000,
    heartbeatIntervalMs: 200,
  });
}

if (missing !== undefined) {
  console.error(missing);
  describe("log contract: kafka", { skip: missing }, () => {});
} else {
  logContractSuite("kafka", async () => {
    const broker = await TestBroker.start();
    let log = await open(broker.brokers);
    return {
      log,
      reopen: async () => {
        await log.close();
        log = await open(broker.brokers);
        return log;
      },
      close: async () => {
        await log.close();
        await broker.stop();
      },
      supports: {
        contiguousOffsets: true,
        maxRecordBytes: MAX_RECORD_BYTES,
        deleteBefore: (topic, partition, offset) => deleteBefore(broker.brokers, topic, partition, offset),
      },
    };
  });
}
void [assert, after, before, it];
