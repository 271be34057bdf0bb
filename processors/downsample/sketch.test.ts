import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  MAX_BUCKETS,
  mergeSketches,
  quantilesOf,
  RELATIVE_ACCURACY,
  type Sketch,
  sketchOf,
} from "./sketch.js";

const finite = fc.double({ noNaN: true, noDefaultInfinity: true });

function sorted(values: readonly number[]): Float64Array {
  return Float64Array.from(values).sort();
}

function total(sketch: Sketch): number {
  return sketch.counts.reduce((sum, count) => sum + count, 0);
}

test("merging any split equals the sketch of the whole (order-free)", () => {
  const values = fc.array(fc.oneof(finite, fc.double({ min: 15, max: 30, noNaN: true })), {
    minLength: 2,
    maxLength: 900,
  });
  fc.assert(
    fc.property(values, fc.nat(), fc.nat(), (all, i, j) => {
      const [a, b] = [i % all.length, j % all.length].sort((x, y) => x - y) as [number, number];
      const parts = [all.slice(0, a), all.slice(a, b), all.slice(b)].map((part) => sketchOf(sorted(part)));
      const whole = sketchOf(sorted(all));
      assert.deepEqual(mergeSketches(mergeSketches(parts[2]!, parts[0]!), parts[1]!), whole);
      assert.equal(total(whole), all.length);
      assert.ok(whole.codes.length <= MAX_BUCKETS);
    }),
    { numRuns: 300 },
  );
});

test("quantiles stay within the stated relative error at level 0", () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 15, max: 20, noNaN: true }), { minLength: 1, maxLength: 400 }),
      (values) => {
        const data = sorted(values);
        const sketch = sketchOf(data);
        assert.equal(sketch.level, 0);
        const qs = [0.01, 0.25, 0.5, 0.95, 0.99, 1];
        quantilesOf(sketch, qs, data[0]!, data[data.length - 1]!).forEach((estimate, i) => {
          const exact = data[Math.max(0, Math.ceil(qs[i]! * data.length) - 1)]!;
          assert.ok(
            Math.abs(estimate - exact) <= RELATIVE_ACCURACY * 1.000001 * Math.abs(exact),
            `${estimate} for ${exact}`,
          );
        });
      },
    ),
  );
});

test("negative values, zero and positive values rank in value order", () => {
  const data = sorted([-100, -5, 0, 0, 5, 100]);
  const estimates = quantilesOf(sketchOf(data), [0.1, 0.3, 0.5, 0.8, 1], -100, 100);
  [-100, -5, 0, 5, 100].forEach((exact, i) => {
    assert.ok(Math.abs(estimates[i]! - exact) <= RELATIVE_ACCURACY * Math.abs(exact) + 1e-12);
  });
});

test("a spread too wide for the buckets costs accuracy, never a count", () => {
  const data = sorted(Array.from({ length: 5_000 }, (_, i) => 1.01 ** (i - 2_500)));
  const sketch = sketchOf(data);
  assert.ok(sketch.level > 0 && sketch.codes.length <= MAX_BUCKETS);
  assert.equal(total(sketch), 5_000);
  const [p50] = quantilesOf(sketch, [0.5], data[0]!, data[4_999]!) as [number];
  assert.ok(Math.abs(Math.log(p50 / data[2_499]!)) < RELATIVE_ACCURACY * 2 ** sketch.level * 1.1);
});

test("sketches that share their buckets merge without a collapse, whatever their sizes", () => {
  const part = sketchOf(sorted(Array.from({ length: 200 }, (_, i) => 1.01 ** i)));
  assert.deepEqual(mergeSketches(part, part), { ...part, counts: part.counts.map((count) => 2 * count) });
});
