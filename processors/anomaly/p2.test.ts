import assert from "node:assert/strict";
import { test } from "node:test";
import { P2_NUMBERS, P2Quantile } from "./p2.js";
import { seededUniform } from "./testing.js";

// The worked example of Jain and Chlamtac (1985), table I.
const PAPER = [
  0.02, 0.15, 0.74, 3.39, 0.83, 22.37, 10.15, 15.43, 38.62, 15.92, 34.6, 10.28, 1.47, 0.4, 0.05, 11.39, 0.27,
  0.42, 0.09, 11.37,
];

test("gives the paper's median", () => {
  const median = new P2Quantile(0.5);
  for (const x of PAPER) median.learn(x);
  assert.equal(Number(median.value.toFixed(2)), 4.44);
  const state = new Float64Array(P2_NUMBERS);
  median.saveTo(state, 0);
  assert.deepEqual(
    [...state.subarray(0, 5)].map((x) => Number(x.toFixed(2))),
    [0.02, 0.49, 4.44, 17.2, 38.62],
  );
  assert.deepEqual([...state.subarray(5)], [1, 6, 10, 16, 20, 20]);
});

test("is close to the true quantile of many readings", () => {
  for (const p of [0.01, 0.25, 0.9, 0.99]) {
    const next = seededUniform(4);
    const estimate = new P2Quantile(p);
    for (let i = 0; i < 20_000; i++) estimate.learn(next() * 100);
    assert.ok(Math.abs(estimate.value - 100 * p) < 1, `${p}: ${estimate.value}`);
  }
});

test("is exact for the first readings", () => {
  const median = new P2Quantile(0.5);
  assert.ok(Number.isNaN(median.value));
  for (const x of [5, 1, 3]) median.learn(x);
  assert.equal(median.value, 3);
});
