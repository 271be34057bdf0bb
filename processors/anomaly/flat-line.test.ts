import assert from "node:assert/strict";
import { test } from "node:test";
import { flatLine } from "./flat-line.js";
import { alarms } from "./testing.js";

const create = (raw: object) => flatLine.create(flatLine.params.parse(raw));

test("the fifth equal reading in a row alarms, and on until the value moves", () => {
  assert.deepEqual(alarms(create({}), [1, 2, 2, 2, 2, 2, 2, 3, 3]), [5, 6]);
});

test("within the tolerance is flat, and a slow creep is not", () => {
  assert.deepEqual(alarms(create({ tolerance: 0.25, readings: 3 }), [1, 1.125, 1.25, 1.0625, 1.5]), [2, 3]);
  assert.deepEqual(alarms(create({ tolerance: 0.125, readings: 3 }), [0, 0.09, 0.18, 0.27, 0.36]), []);
});

test("a duration must be reached too, in event time", () => {
  assert.deepEqual(alarms(create({ readings: 3, forMs: 300_000 }), new Array(8).fill(7), 60_000), [5, 6, 7]);
  assert.deepEqual(alarms(create({ readings: 3, forMs: 300_000 }), new Array(4).fill(7), 600_000), [2, 3]);
});

test("zero and minus zero are the same value", () => {
  assert.deepEqual(alarms(create({ readings: 3 }), [0, -0, 0]), [2]);
});
