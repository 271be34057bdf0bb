import assert from "node:assert/strict";
import { test } from "node:test";
import { drift } from "./drift.js";
import { alarms, seededNormal } from "./testing.js";

const create = (raw: object) => drift.create(drift.params.parse(raw));

test("the sums follow the tabular CUSUM", () => {
  // baseline 9, 11, ...: mean 10, deviation 1. Readings of 12 add 2 - 0.5 each: 1.5, 3, 4.5, 6.
  const detector = create({ baselineReadings: 10, decisionDeviations: 4.5 });
  const baseline = Array.from({ length: 10 }, (_, i) => (i % 2 ? 11 : 9));
  const ratios = [...baseline, 12, 12, 12, 12, 10].map((value, i) => {
    const { score } = detector.step(i, value);
    return Number((score / (1 - score)).toFixed(9));
  });
  assert.deepEqual(
    ratios.slice(10),
    [1.5, 3, 4.5, 6, 5.5].map((sum) => Number((sum / 4.5).toFixed(9))),
  );
});

test("finds a shift of one deviation, up or down, that no single reading shows", () => {
  for (const sign of [1, -1]) {
    const noise = seededNormal(9);
    const values = Array.from({ length: 1000 }, (_, i) => noise() + (i < 700 ? 0 : sign));
    const first = alarms(create({}), values)[0]!;
    assert.ok(first > 700 && first < 760, `first alarm at ${first}`);
  }
});

test("one wild reading is not a drift", () => {
  const noise = seededNormal(9);
  assert.deepEqual(
    alarms(
      create({}),
      Array.from({ length: 600 }, (_, i) => (i === 400 ? 1e6 : noise())),
    ),
    [],
  );
});

test("a new level is taken for normal after as many readings as a baseline takes", () => {
  const noise = seededNormal(2);
  const values = Array.from({ length: 2000 }, (_, i) => noise() + (i < 500 ? 0 : 20));
  const found = alarms(create({ baselineReadings: 100 }), values);
  assert.equal(found.length, 100);
  assert.ok(found[0]! < 510);
});
