import assert from "node:assert/strict";
import { test } from "node:test";
import { quantile } from "./quantile.js";
import { alarms, seededUniform } from "./testing.js";

const create = (raw: object) => quantile.create(quantile.params.parse(raw));

test("alarms beyond the quantiles and the margin", () => {
  const next = seededUniform(6);
  const values = Array.from({ length: 500 }, () => next() * 100);
  // quartiles 25 and 75, fence 1.5 * 50: below -50 or above 150
  const detector = create({ low: 0.25, high: 0.75, margin: 1.5 });
  assert.deepEqual(alarms(detector, [...values, 130, -30, 170, -70]), [502, 503]);
});

test("says nothing while it knows too little", () => {
  assert.deepEqual(alarms(create({}), [...new Array(100).fill(0).map((_, i) => i % 3), 1e9]), []);
});

test("a new regime is normal after at most two windows", () => {
  const next = seededUniform(8);
  const values = Array.from({ length: 4000 }, (_, i) => next() + (i < 2000 ? 0 : 50));
  const found = alarms(create({ windowReadings: 300, warmupReadings: 50 }), values);
  assert.equal(found[0], 2000);
  assert.ok(found.at(-1)! < 2600, `still alarming at ${found.at(-1)}`);
});

test("refuses quantiles in the wrong order", () => {
  assert.throws(() => quantile.params.parse({ low: 0.9, high: 0.1 }), /low must be under high/);
});
