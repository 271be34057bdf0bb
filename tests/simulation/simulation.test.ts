import { test } from "node:test";
import { runSeed } from "./run.js";

const SEEDS = 300;

test(`${SEEDS} seeded worlds with crashes, failures, repeats and disorder keep every promise`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      await runSeed(seed);
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
});
