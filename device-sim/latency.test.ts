import assert from "node:assert/strict";
import { test } from "node:test";
import { summarise } from "./latency.js";

test("percentiles are nearest rank, whatever the order of the samples", () => {
  const samples = Float64Array.from({ length: 1_000 }, (_, i) => ((i * 7) % 1_000) + 1);
  assert.deepEqual(summarise(samples), {
    ...{ count: 1_000, mean: 500.5, p50: 500, p90: 900, p99: 990, p999: 999, max: 1_000 },
  });
  assert.deepEqual(summarise(Float64Array.of(4)), {
    count: 1,
    mean: 4,
    p50: 4,
    p90: 4,
    p99: 4,
    p999: 4,
    max: 4,
  });
  assert.equal(summarise(new Float64Array(0)).count, 0);
});
