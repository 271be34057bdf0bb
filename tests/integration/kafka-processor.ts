/**
 * A processor process with its state in Kafka. Its rollups go to the end of a file that all processors share, one JSON
 * line each: a store in which the last write wins.
 *
 *     kafka-processor <brokers> <group> <file>
 *
 * Says its status (JSON, {@link ProcessorStatus}) several times a second. SIGTERM closes it cleanly.
 */
import { open } from "node:fs/promises";
import { openKafkaCheckpoints } from "../../adapters/checkpoint/kafka/index.js";
import { openKafkaLog } from "../../adapters/log/kafka/index.js";
import { DEFAULT_RESOLUTIONS } from "../../contracts/window.js";
import type { TaskCounters } from "../../processors/engine/counters.js";
import { Processor } from "../../processors/engine/processor.js";
import { systemClock } from "../../runtime/clock.js";
import { createLogger } from "../../runtime/logger.js";
import { Registry } from "../../runtime/metrics.js";

export interface ProcessorStatus {
  partitions: number;
  commits: number;
  counters: TaskCounters;
  uncommitted: number;
}

const STATUS_MS = 150;

const [brokers = "", group = "", file = ""] = process.argv.slice(2);
const logger = createLogger(process.env.SLUICE_TEST_LOG ?? "silent");
const registry = new Registry();
const connection = { brokers: brokers.split(","), clientId: "processor", clock: systemClock, logger };
const log = await openKafkaLog({
  ...connection,
  registry,
  sessionTimeoutMs: 5_000,
  heartbeatIntervalMs: 200,
});
const rows = await open(file, "a");
const store = {
  async write({ rollups }: { rollups: readonly object[] }) {
    await rows.appendFile(rollups.map((rollup) => `${JSON.stringify(rollup)}\n`).join(""));
    return [];
  },
};
const checkpoints = openKafkaCheckpoints({ ...connection, registry }).withOutputs(store, {
  onRejected: async () => {},
});
let commits = 0;
const processor = new Processor({
  ...{ log, checkpoints, logger, registry, group, clock: systemClock },
  operator: { resolutions: DEFAULT_RESOLUTIONS, allowedLatenessMs: 3_600_000, rules: [] },
  ...{ commitIntervalMs: 1_000, maxRecordsPerCommit: 100_000, maxDevicesInMemory: 10 },
  onCommit: () => {
    commits++;
  },
});
await processor.start();

const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
while (!stop.signal.aborted) {
  const gauge = await registry.getSingleMetric("sluice_processor_partitions")!.get();
  const partitions = gauge.values[0]?.value ?? 0;
  const { uncommitted, counters } = { uncommitted: processor.uncommitted(), counters: processor.counters() };
  const status: ProcessorStatus = { partitions, commits, counters, uncommitted };
  process.stdout.write(`${JSON.stringify(status)}\n`);
  await systemClock.sleep(STATUS_MS, stop.signal).catch(() => undefined);
}
await processor.close();
await checkpoints.close();
await log.close();
await rows.close();
