import assert from "node:assert/strict";
import { test } from "node:test";
import { TOPICS } from "../contracts/topics.js";
import { windowStart } from "../contracts/window.js";
import { METRICS } from "./signals.js";
import { DEVICES, World } from "./testing/world.js";

test("a reading that counts twice in a rollup is found, without waiting for what cannot heal", async () => {
  const world = new World();
  const { deviceId, ts, values } = world.record(world.readings()[11]!);
  const start = windowStart(ts, 10_000);
  const rollup = world.rollups.get(`${deviceId}/temperature/${start}`)!;
  rollup.count++;
  rollup.sum += values.temperature!;
  const report = await world.verify();
  assert.equal(report.rollups.mismatches, 1);
  const [mismatch] = report.rollupMismatches;
  assert.deepEqual([mismatch!.device, mismatch!.metric, mismatch!.start], [deviceId, "temperature", start]);
  assert.equal(mismatch!.actual!.count, mismatch!.expected!.count + 1);
  assert.equal(report.ok, false);
});

test("every field of a rollup is held against the ledger, and so are windows too few or too many", async () => {
  for (const field of ["sum", "min", "max", "first", "last"] as const) {
    const world = new World();
    [...world.rollups.values()][20]![field] += 0.001;
    assert.equal((await world.verify()).rollups.mismatches, 1, field);
  }
  const world = new World();
  const [key, rollup] = [...world.rollups][30]!;
  world.rollups.delete(key);
  const missing = await world.verify();
  assert.equal(missing.rollupMismatches[0]!.actual, undefined);
  assert.equal(missing.rollups.mismatches, 1);

  const extra = new World();
  extra.rollups.set("extra", { ...rollup, start: rollup.start + 1 });
  const unexpected = await extra.verify();
  assert.equal(unexpected.rollups.mismatches, 1);
  assert.equal(unexpected.rollupMismatches[0]!.expected, undefined);
});

test("rollups that come later are waited for", async () => {
  const world = new World();
  let asked = 0;
  const report = await world.verify(async ({ device, metric }) => {
    asked++;
    if (asked <= DEVICES * METRICS.length * 2) return [];
    return [...world.rollups.values()].filter((r) => r.device === device && r.metric === metric);
  }, 60_000);
  assert.deepEqual(report.problems, []);
});

test("a reading in the late topic must not count; one that was not late must not be there", async () => {
  const world = new World();
  const behind = world.readings().find((n) => {
    const earlier = world
      .readings()
      .filter((e) => e < n && world.ledger.device(e) === world.ledger.device(n));
    return earlier.some((e) => world.ledger.ts(e) > world.ledger.ts(n));
  })!;
  world.log.add(TOPICS.late, 1, world.record(behind));
  const counted = await world.verify();
  assert.equal(counted.rollups.mismatches, METRICS.length);
  assert.deepEqual([counted.lateTopic, counted.lateUnexpected], [1, 0]);

  const wrong = new World();
  wrong.log.add(TOPICS.late, 0, wrong.record(0));
  assert.equal((await wrong.verify()).lateUnexpected, 1);
});

test("when one of two copies came too late, the reading still counts once", async () => {
  const world = new World();
  world.addReading(0);
  world.ledger.addSend(0);
  world.log.add(TOPICS.late, 0, world.record(0));
  assert.deepEqual((await world.verify()).problems, []);
});
