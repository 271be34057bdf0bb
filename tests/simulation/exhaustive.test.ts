/**
 * Small cases, all of them: every order of six readings, and a crash at every step of every commit. Whatever happens,
 * rollups, counters and output topics are the same to the last bit (INV-3 to INV-5).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { partitionForKey } from "../../adapters/log/partitioner.js";
import type { Offset } from "../../contracts/ports/log.js";
import { type ReadingRecord, readingId } from "../../contracts/reading.js";
import { TOPICS } from "../../contracts/topics.js";
import { PartitionTask } from "../../processors/engine/partition-task.js";
import { type Faults, MemoryLog, MemoryLogData } from "../../testkit/memory-log.js";
import { MemoryCheckpoints, MemoryStateData } from "../../testkit/memory-state.js";
import { OPERATOR, SILENT, START } from "./world.js";

const TASK = { group: "processor", topic: TOPICS.readings, partition: 0 };
const RECORDS_PER_COMMIT = 2;
/** Two resolutions and one rule: enough for windows that are made from windows, and for alerts. */
const SMALL = {
  ...OPERATOR,
  resolutions: OPERATOR.resolutions.slice(0, 2),
  rules: OPERATOR.rules.slice(0, 1),
};

function reading(deviceId: string, offsetMs: number, t: number): ReadingRecord {
  const body = { deviceId, ts: START + offsetMs, values: { temperature: t } };
  return { v: 1, id: readingId(body, ""), ingestTs: START, ...body };
}

/** Values whose sum depends on the order they are added in, over three windows; the fifth repeats the second. */
const ONE_DEVICE = [
  reading("d1", 100, 0.1),
  reading("d1", 200, 0.2),
  reading("d1", 300, 40.3),
  reading("d1", 10_500, 1e16),
  reading("d1", 200, 0.2),
  reading("d1", 20_500, 1),
];
/** The same span shared by two devices; the last is too late for its window when it follows the fifth. */
const TWO_DEVICES = [
  reading("d1", 100, 0.1),
  reading("d2", 200, 0.2),
  reading("d1", 9_300, 40.3),
  reading("d2", 10_500, 1e16),
  reading("d1", 620_000, 3),
  reading("d1", 500, 1),
];

function ordersOf<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, i) => ordersOf(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}

class Crash extends Error {}

/**
 * Crashes after effect number `at`, counted over all appends and checkpoint writes; undefined never crashes. A crash
 * before an effect leaves what a crash after the one before it leaves.
 */
class Steps implements Faults {
  taken = 0;
  readonly #at: number | undefined;

  constructor(at?: number) {
    this.#at = at;
  }

  async before(): Promise<void> {}

  async after(): Promise<void> {
    if (this.taken++ === this.#at) throw new Crash();
  }
}

interface Result {
  rollups: string[];
  counters: string;
  /** Each output topic that must hold every output once, in order. */
  topics: string[][];
}

/** Processes `records` with a crash at one step, and starts again from what was committed. */
async function run(
  records: readonly ReadingRecord[],
  mode: "atomic" | "outputs-first",
  crashAt?: number,
): Promise<{ result: Result; steps: number; crashed: boolean }> {
  const logData = new MemoryLogData();
  const state = new MemoryStateData();
  await new MemoryLog(logData, partitionForKey).ensureTopics(
    Object.values(TOPICS).map((name) => ({ name, partitions: 1 })),
  );
  for (const record of records) {
    const value = Buffer.from(JSON.stringify(record));
    logData.store(TOPICS.readings, 0, { key: record.deviceId, value, timestamp: record.ingestTs });
  }
  const input = logData.records(TOPICS.readings);
  const steps = new Steps(crashAt);
  const life = async (faults: Faults): Promise<PartitionTask> => {
    const task = new PartitionTask({
      ...{ task: TASK, log: new MemoryLog(logData, partitionForKey, faults), logger: SILENT },
      ...{ checkpoints: new MemoryCheckpoints(state, mode, faults), operator: SMALL },
      ...{ maxDevicesInMemory: 1, writeTopics: true },
    });
    let next: Offset = await task.restore(0);
    while (next < input.length) {
      const batch = input.slice(next, next + RECORDS_PER_COMMIT);
      task.process(batch);
      next += batch.length;
      await task.commit();
    }
    return task;
  };
  let crashed = false;
  const task = await life(steps).catch((error) => {
    if (!(error instanceof Crash)) throw error;
    crashed = true;
    return life(new Steps());
  });
  const text = (topic: string) => logData.records(topic).map(({ value }) => Buffer.from(value).toString());
  const result = {
    rollups: [...state.rollups.values()].map((row) => JSON.stringify(row)).sort(),
    counters: JSON.stringify(task.counters),
    topics: [text(TOPICS.late), text(TOPICS.alerts)],
  };
  return { result, steps: steps.taken, crashed };
}

for (const mode of ["atomic", "outputs-first"] as const) {
  test(`all 720 orders of 6 readings of one device, a crash at every step of every commit, ${mode}`, async () => {
    let expected: Result | undefined;
    let crashes = 0;
    for (const order of ordersOf(ONE_DEVICE)) {
      const { result, steps } = await run(order, mode);
      expected ??= result;
      assert.deepEqual(result.rollups, expected.rollups, "the order shows in the rollups");
      assert.equal(result.counters, countersOf(result, { counted: 5, duplicates: 1, late: 0 }));
      crashes += await crashEverywhere(order, mode, steps, result);
    }
    assert.ok(crashes > 720 * 5, `${crashes} crashes`);
  });
}

test("all 720 orders of 6 readings of two devices, some late, a crash at every step of every commit", async () => {
  let late = 0;
  for (const order of ordersOf(TWO_DEVICES)) {
    const { result, steps } = await run(order, "outputs-first");
    const isLate = order.indexOf(TWO_DEVICES[5]!) > order.indexOf(TWO_DEVICES[4]!);
    assert.equal(result.topics[0]!.includes(JSON.stringify(TWO_DEVICES[5]!)), isLate, "late topic");
    late += result.topics[0]!.length;
    await crashEverywhere(order, "outputs-first", steps, result);
  }
  // Three readings of d1 are late whenever they follow its fifth: half of all orders each.
  assert.equal(late, 3 * 360);
});

async function crashEverywhere(
  order: readonly ReadingRecord[],
  mode: "atomic" | "outputs-first",
  steps: number,
  expected: Result,
): Promise<number> {
  for (let step = 0; step < steps; step++) {
    const { result, crashed } = await run(order, mode, step);
    assert.ok(crashed, `step ${step} of ${steps} was reached`);
    assert.deepEqual(
      result,
      expected,
      `crash at step ${step} of ${steps}: ${order.map(({ ts }) => ts - START)}`,
    );
  }
  return steps;
}

/** Counters as text: those given, and the alerts as the topic has them. */
function countersOf({ topics }: Result, ends: { counted: number; duplicates: number; late: number }): string {
  const transitions = topics[1]!.filter((text) => !text.includes('"corrected":true'));
  const fired = transitions.filter((text) => text.includes('"state":"firing"')).length;
  const alerts = { alertsFired: fired, alertsResolved: transitions.length - fired };
  return JSON.stringify({ processed: 6, ...ends, poison: 0, ...alerts });
}
