import assert from "node:assert/strict";
import { test } from "node:test";
import { runSeed } from "./run.js";

const SEEDS = 400;

test(`${SEEDS} seeded worlds with crashes, failures, repeats and disorder keep every promise`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      await runSeed(seed);
    } catch (error) {
      const again = `npm run simulate -- --seed ${seed}`;
      throw new Error(`seed ${seed} (${again}): ${(error as Error).message}`, { cause: error });
    }
  }
});

test("a seed gives the same world every time", async () => {
  for (const seed of [1_001, 1_002, 1_003]) assert.deepEqual(await runSeed(seed), await runSeed(seed));
});
