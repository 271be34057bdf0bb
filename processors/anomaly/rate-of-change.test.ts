import assert from "node:assert/strict";
import { test } from "node:test";
import { rateOfChange } from "./rate-of-change.js";
import { alarms, seededNormal } from "./testing.js";

const create = (raw: object) => rateOfChange.create(rateOfChange.params.parse(raw));

test("a fixed limit is per second of event time", () => {
  const detector = create({ perSecond: 2 });
  const scores = [
    [0, 10],
    [1000, 11.9], // 1.9 per second
    [2000, 14], // 2.1
    [12_000, 33.9], // 1.99 over ten seconds
    [12_500, 32.8], // -2.2
  ].map(([ts, value]) => detector.step(ts!, value!).score >= 0.5);
  assert.deepEqual(scores, [false, false, true, false, true]);
});

test("readings at one time have no rate", () => {
  assert.deepEqual(alarms(create({ perSecond: 1 }), [1, 100, 1], 0), []);
});

test("without a limit it learns the deviation, and a step of more than three of them alarms", () => {
  const noise = seededNormal(5);
  const calm = Array.from({ length: 400 }, () => 20 + noise());
  const before = calm.at(-1)!;
  assert.deepEqual(alarms(create({ deviations: 6 }), [...calm, before + 7, before + 7]), [400]);
});

test("a counter that wraps or restarts is counted on from zero", () => {
  const values = [1000, 1060, 1120, 20, 80];
  assert.deepEqual(alarms(create({ perSecond: 2, counter: true }), values), []);
  assert.deepEqual(alarms(create({ perSecond: 2 }), values), [3]);
});
