import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { partitionForKey } from "../../adapters/log/partitioner.js";
import type { DeadLetterRecord } from "../../contracts/dead-letter.js";
import { type ReadingRecord, readingId } from "../../contracts/reading.js";
import { TOPICS } from "../../contracts/topics.js";
import { DEFAULT_RESOLUTIONS } from "../../contracts/window.js";
import { MemoryLog, MemoryLogData } from "../../testkit/memory-log.js";
import { MemoryCheckpoints, MemoryStateData } from "../../testkit/memory-state.js";
import { PartitionTask } from "./partition-task.js";

const T0 = Date.UTC(2026, 0, 1);

test("a poison record becomes one dead letter, and the records around it are processed (INV-2)", async () => {
  const logData = new MemoryLogData();
  const log = new MemoryLog(logData, partitionForKey);
  await log.ensureTopics(Object.values(TOPICS).map((name) => ({ name, partitions: 1 })));
  const body = (ts: number) => ({ deviceId: "d1", ts, values: { t: 1 } });
  const reading = (ts: number): string => {
    const record: ReadingRecord = { v: 1, id: readingId(body(ts), ""), ingestTs: ts, ...body(ts) };
    return JSON.stringify(record);
  };
  const values = [reading(T0), "not json", '{"v":1}', "null", reading(T0 + 1)];
  await log.append(
    TOPICS.readings,
    values.map((value) => ({ key: "d1", value: Buffer.from(value), timestamp: T0 })),
  );

  const task = new PartitionTask({
    ...{ task: { group: "g", topic: TOPICS.readings, partition: 0 }, log, writeTopics: true },
    ...{ checkpoints: new MemoryCheckpoints(new MemoryStateData(), "atomic"), maxDevicesInMemory: 10 },
    operator: { resolutions: DEFAULT_RESOLUTIONS, allowedLatenessMs: 600_000, rules: [] },
    logger: pino({ level: "silent" }),
  });
  await task.restore(0);
  task.process(logData.records(TOPICS.readings));
  await task.commit();

  const { processed, counted, poison } = task.counters;
  assert.deepEqual([processed, counted, poison], [5, 2, 3]);
  const letters = logData
    .records(TOPICS.invalid)
    .map(({ value }) => JSON.parse(Buffer.from(value).toString()) as DeadLetterRecord);
  assert.deepEqual(
    letters.map(({ reason, payload }) => [reason, Buffer.from(payload, "base64").toString()]),
    values.slice(1, 4).map((value) => ["bad_shape", value]),
  );
});
