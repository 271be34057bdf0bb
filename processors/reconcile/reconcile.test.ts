import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { partitionForKey } from "../../adapters/log/partitioner.js";
import { type ReadingRecord, readingId } from "../../contracts/reading.js";
import { rollupKey } from "../../contracts/rollup.js";
import { TOPICS } from "../../contracts/topics.js";
import { DEFAULT_RESOLUTIONS } from "../../contracts/window.js";
import { MemoryLog, MemoryLogData } from "../../testkit/memory-log.js";
import { MemoryStateData, MemoryStore } from "../../testkit/memory-state.js";
import { referenceRollups } from "../../testkit/reference-model.js";
import { VirtualClock } from "../../testkit/virtual-clock.js";
import { compileRule, ruleSchema } from "../alerting/rules.js";
import { replay } from "../engine/replay.js";
import { reconcile } from "./reconcile.js";

const T0 = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;
const logger = pino({ level: "silent" });
const hot = { name: "hot", detector: "range", params: { above: 90 } };
const operator = {
  resolutions: DEFAULT_RESOLUTIONS,
  allowedLatenessMs: 10 * MINUTE,
  rules: [compileRule(ruleSchema.parse(hot))],
};

function reading(ts: number, t: number, deviceId = "d1"): ReadingRecord {
  const body = { deviceId, ts, values: { t } };
  return { v: 1, id: readingId(body, ""), ingestTs: ts, ...body };
}

/** A log with these readings, and a store with what live processing makes of them. */
async function world(readings: readonly ReadingRecord[]) {
  const logData = new MemoryLogData();
  const log = new MemoryLog(logData, partitionForKey);
  await log.ensureTopics(Object.values(TOPICS).map((name) => ({ name, partitions: 2 })));
  const records = readings.map((record) => ({
    ...{ key: record.deviceId, value: Buffer.from(JSON.stringify(record)), timestamp: record.ingestTs },
  }));
  await log.append(TOPICS.readings, records);
  const state = new MemoryStateData();
  const store = new MemoryStore(state);
  const ranges = (await log.ranges(TOPICS.readings)).map(({ partition, next }) => ({
    partition,
    from: 0,
    to: next,
  }));
  await replay({ log, logger, operator, ranges, write: async (batch) => void (await store.write(batch)) });
  const run = (more: { fromMs?: number; toMs?: number; repair?: boolean } = {}) =>
    reconcile({
      ...{
        log,
        store,
        logger,
        operator,
        clock: new VirtualClock(T0),
        maxClockSkewMs: 5 * MINUTE,
        settleMs: 0,
      },
      ...{ fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, repair: false, ...more },
    });
  return { logData, state, store, run };
}

const steady = Array.from({ length: 200 }, (_, i) =>
  reading(T0 + i * MINUTE, i % 50 === 49 ? 95 : 20 + (i % 7), `d${i % 3}`),
);

test("what live processing wrote has no differences", async () => {
  const { run } = await world(steady);
  const report = await run();
  assert.deepEqual(report.differences, []);
  assert.equal(report.alertsCompared, true);
  assert.ok(report.windows > 200);
});

test("a planted error is found with its field, and repaired", async () => {
  const { state, run } = await world(steady);
  const [key, rollup] = [...state.rollups].find(([, row]) => row.resolution === "1m")!;
  state.rollups.set(key, { ...rollup, sum: rollup.sum + 1e-9 });
  const { differences } = await run();
  assert.deepEqual(
    differences.map(({ key, field, store, log }) => ({ key, field, store, log })),
    [{ key, field: "sum", store: rollup.sum + 1e-9, log: rollup.sum }],
  );
  assert.equal((await run({ repair: true })).repaired, 1);
  assert.deepEqual(state.rollups.get(key), rollup);
  assert.deepEqual((await run()).differences, []);
});

test("a missing row, an extra row and a wrong alert are found", async () => {
  const { state, run } = await world(steady);
  const row = [...state.rollups.values()].find(({ resolution }) => resolution === "10s")!;
  state.rollups.delete(rollupKey(row));
  const extra = { ...row, start: row.start + 30 * MINUTE + 10_000 };
  state.rollups.set(rollupKey(extra), extra);
  const alert = [...state.alerts.values()][0]!;
  state.alerts.set(alert.id, { ...alert, state: "firing" });
  const { differences } = await run({ repair: true });
  assert.deepEqual(
    differences.map(({ kind, field, store, log }) => [kind, field, store, log]),
    [
      ["rollup", "*", undefined, 1],
      ["rollup", "*", 1, undefined],
      ["alert", "state", "firing", "resolved"],
    ],
  );
  const after = await run();
  assert.deepEqual(
    after.differences.map(({ key }) => key),
    [rollupKey(extra)],
  );
});

test("late readings are folded into final windows by a repair, and live windows are left to live processing", async () => {
  const onTime = Array.from({ length: 90 }, (_, i) => reading(T0 + i * MINUTE, i));
  const late = reading(T0 + 30_500, 7);
  const readings = [...onTime, late, late];
  const { state, run } = await world(readings);
  const first = await run();
  assert.equal(first.late, 2);
  const changed = new Set(first.differences.map(({ key }) => key));
  const key = (resolution: string, start: number) =>
    rollupKey({ device: "d1", metric: "t", resolution, start });
  // The hour and the two finer windows are final 90 minutes on; the day is not.
  assert.deepEqual(changed, new Set([key("10s", T0 + 30_000), key("1m", T0), key("1h", T0)]));
  await run({ repair: true });
  assert.deepEqual((await run()).differences, []);
  const wanted = referenceRollups(readings, DEFAULT_RESOLUTIONS).find(
    (row) => rollupKey(row) === key("1h", T0),
  )!;
  const stored = state.rollups.get(key("1h", T0))!;
  assert.deepEqual(
    [stored.count, stored.sum, stored.min, stored.max],
    [wanted.count, wanted.sum, wanted.min, wanted.max],
  );
});

test("a range in the middle is right to the last bit although only part of the log is read", async () => {
  const days = Array.from({ length: 3 * 1_440 }, (_, i) => reading(T0 + i * MINUTE, 20 + (i % 13) / 7));
  const { logData, run } = await world(days);
  logData.deleteBefore(TOPICS.readings, partitionForKey("d1", 2), 1_000);
  const from = T0 + 2 * 1_440 * MINUTE + 15 * MINUTE;
  const report = await run({ fromMs: from, toMs: from + 60 * MINUTE });
  assert.deepEqual(report.differences, []);
  assert.equal(report.truncated, false);
  assert.ok(report.windows > 60 && report.records < days.length);
  assert.equal((await run({ fromMs: T0 })).truncated, true);
});
