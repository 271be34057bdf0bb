import assert from "node:assert/strict";
import { test } from "node:test";
import { spike } from "./spike.js";
import { alarms, scores, seededNormal } from "./testing.js";

const create = (raw: object) => spike.create(spike.params.parse(raw));

test("names the spike with the reading after it", () => {
  assert.deepEqual(alarms(create({ height: 5 }), [10, 10, 16, 10, 10]), [3]);
  assert.deepEqual(alarms(create({ height: 5 }), [10, 10, 14, 10, 10]), []);
});

test("height is the distance from the mean of both neighbours", () => {
  // |16 - (10 + 12) / 2| = 5: exactly the limit scores exactly 0.5
  assert.deepEqual(scores(create({ height: 5 }), [10, 16, 12]), [0, 0, 0.5]);
});

test("a step has half the height of a spike, and a slope none", () => {
  assert.deepEqual(alarms(create({ height: 5 }), [10, 10, 19, 19, 19]), []);
  assert.deepEqual(alarms(create({ height: 5 }), [0, 100, 200, 300, 400]), []);
});

test("without a height it learns the series' own, and one spike does not hide the next", () => {
  const noise = seededNormal(3);
  const values = Array.from({ length: 600 }, () => noise());
  values[300] = 15;
  values[340] = 15;
  assert.deepEqual(alarms(create({}), values), [301, 341]);
});
