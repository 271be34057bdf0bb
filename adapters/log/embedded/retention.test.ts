import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "../../../contracts/errors.js";
import type { Clock } from "../../../contracts/ports/clock.js";
import { Registry } from "../../../runtime/metrics.js";
import { openLog, readAll, tempDir, textOf } from "./testing/harness.js";

const HOUR_MS = 3_600_000;
const NOW = 1_700_000_000_000;

/** Stands still at `now`; sleeping ends only by abort, so that retention runs when the test says so. */
function stoppedClock(): Clock & { nowMs: number } {
  return {
    nowMs: NOW,
    now() {
      return this.nowMs;
    },
    monotonicMs: () => 0,
    sleep: (_ms, signal) =>
      new Promise((_, reject) => {
        signal?.addEventListener("abort", () => reject(new Error("aborted")), { once: true });
      }),
  };
}

function at(timestamp: number, text = "x"): { value: Buffer; timestamp: number }[] {
  return [{ value: Buffer.from(text), timestamp }];
}

test("by time: a batch goes when all of it is older; the next offset outlives the last record", async (t) => {
  const dir = await tempDir(t);
  const clock = stoppedClock();
  const log = await openLog(t, dir, { clock });
  await log.ensureTopics([
    { name: "t", partitions: 1, retentionMs: HOUR_MS },
    { name: "for ever", partitions: 1 },
  ]);
  await log.append("for ever", at(0));
  await log.append("t", [...at(NOW - 3 * HOUR_MS, "a"), ...at(NOW - 2 * HOUR_MS, "b")]);
  await log.append("t", [...at(NOW - 2 * HOUR_MS, "c"), ...at(NOW, "d")]);
  await log.append("t", at(NOW - 2 * HOUR_MS, "e"));
  assert.equal(await log.applyRetention(), 2);
  assert.deepEqual(
    (await readAll(log, "t")).map((record) => [record.offset, textOf(record)]),
    [
      [2, "c"],
      [3, "d"],
      [4, "e"],
    ],
  );
  clock.nowMs += 2 * HOUR_MS;
  assert.equal(await log.applyRetention(), 3);
  assert.deepEqual(await log.ranges("t"), [{ partition: 0, earliest: 5, next: 5 }]);
  assert.deepEqual(await readAll(log, "t"), []);
  assert.equal(await log.offsetForTime("t", 0, 0), 5);
  assert.equal((await readAll(log, "for ever")).length, 1);
  await log.close();
  const again = await openLog(t, dir, { clock });
  assert.deepEqual(await again.ranges("t"), [{ partition: 0, earliest: 5, next: 5 }]);
  await again.append("t", at(clock.nowMs, "f"));
  assert.deepEqual(
    (await readAll(again, "t")).map((record) => [record.offset, textOf(record)]),
    [[5, "f"]],
  );
});

test("by size: the oldest batches go while the rest is at least the limit, in each partition", async (t) => {
  const dir = await tempDir(t);
  const registry = new Registry();
  const log = await openLog(t, dir, { clock: stoppedClock(), registry });
  await log.ensureTopics([{ name: "t", partitions: 1, retentionBytes: 50_000 }]);
  for (let i = 0; i < 20; i++) await log.append("t", [{ value: Buffer.alloc(10_000, i), timestamp: NOW }]);
  const deleted = await log.applyRetention();
  assert.equal(deleted, 15);
  assert.deepEqual(await log.ranges("t"), [{ partition: 0, earliest: 15, next: 20 }]);
  assert.equal(await log.applyRetention(), 0);

  const value = async (name: string) => (await registry.getSingleMetric(name)!.get()).values[0]!.value;
  assert.equal(await value("sluice_log_appended_records_total"), 20);
  assert.equal(await value("sluice_log_retention_deleted_records_total"), 15);
  assert.equal(await value("sluice_log_pending_bytes"), 0);
  const bytes = await value("sluice_log_bytes");
  assert.ok(bytes >= 50_000 && bytes < 51_000, `${bytes} bytes`);

  await log.ensureTopics([{ name: "t", partitions: 1, retentionBytes: 20_000 }]);
  assert.equal(await log.applyRetention(), 3, "a changed limit holds from now on");
});

test("runs by itself at the interval", async (t) => {
  const dir = await tempDir(t);
  const log = await openLog(t, dir, { retentionIntervalMs: 5 });
  await log.ensureTopics([{ name: "t", partitions: 1, retentionMs: 1 }]);
  await log.append("t", at(1));
  while ((await log.ranges("t"))[0]!.earliest === 0) await new Promise((resolve) => setTimeout(resolve, 5));
});

test("a reader ahead of the deletion goes on; one that is overtaken is told", async (t) => {
  const dir = await tempDir(t);
  const log = await openLog(t, dir, { clock: stoppedClock() });
  await log.ensureTopics([{ name: "t", partitions: 1 }]);
  for (let i = 0; i < 30; i++) {
    const batch = Array.from({ length: 500 }, (_, j) => ({
      value: Buffer.from(`${i * 500 + j}`),
      timestamp: NOW,
    }));
    await log.append("t", batch);
  }
  const ahead = log.read("t", 0, 0)[Symbol.asyncIterator]();
  const overtaken = log.read("t", 0, 0)[Symbol.asyncIterator]();
  const first = await ahead.next();
  let expected = 0;
  for (const record of first.value ?? []) assert.equal(textOf(record), String(expected++));
  await overtaken.next();
  await log.deleteBefore("t", 0, expected);
  for (let step = await ahead.next(); step.done !== true; step = await ahead.next()) {
    for (const record of step.value) assert.equal(textOf(record), String(expected++));
  }
  assert.equal(expected, 15_000);
  await log.deleteBefore("t", 0, 10_000);
  await assert.rejects(overtaken.next(), (error) => hasCode(error, "LOG_OFFSET_OUT_OF_RANGE"));
});

test("a subscriber that is overtaken while it works is told, and goes on at the earliest", async (t) => {
  const dir = await tempDir(t);
  const log = await openLog(t, dir);
  await log.ensureTopics([{ name: "t", partitions: 1 }]);
  for (let i = 0; i < 10; i++) {
    const batch = Array.from({ length: 1000 }, (_, j) => ({
      value: Buffer.from(`${i * 1000 + j}`),
      timestamp: NOW,
    }));
    await log.append("t", batch);
  }
  const offsets: number[] = [];
  const fell: number[][] = [];
  let finished = () => {};
  const end = new Promise<void>((resolve) => {
    finished = resolve;
  });
  const subscription = await log.subscribe("g", "t", {
    assigned: async () => 0,
    async batch(_, records) {
      if (offsets.length === 0) await log.deleteBefore("t", 0, 6000);
      offsets.push(...records.map((record) => record.offset));
      if (offsets.at(-1) === 9999) finished();
    },
    revoked: async () => {},
    fellBehind: (_, wanted, earliest) => fell.push([wanted, earliest]),
  });
  await end;
  await subscription.close();
  assert.deepEqual(fell, [[1000, 6000]]);
  assert.deepEqual(offsets, [
    ...Array.from({ length: 1000 }, (_, i) => i),
    ...Array.from({ length: 4000 }, (_, i) => 6000 + i),
  ]);
});

test("times are found also behind a deleted record that was ahead of its time", async (t) => {
  const dir = await tempDir(t);
  const log = await openLog(t, dir, { clock: stoppedClock() });
  await log.ensureTopics([{ name: "t", partitions: 1 }]);
  const times = [[10, 9000], [20], [30, 25], [5], [40], [9500], [50]];
  for (const batch of times)
    await log.append(
      "t",
      batch.flatMap((time) => at(time)),
    );
  await log.deleteBefore("t", 0, 3);
  const all = await readAll(log, "t");
  const { next } = (await log.ranges("t"))[0]!;
  assert.equal(all[0]!.offset, 3);
  for (const wanted of [0, 20, 21, 26, 31, 41, 8999, 9000, 9001, 9500, 9501]) {
    const first = all.find((record) => record.timestamp >= wanted);
    assert.equal(await log.offsetForTime("t", 0, wanted), first?.offset ?? next, `at ${wanted}`);
  }
});
