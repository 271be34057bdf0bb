import assert from "node:assert/strict";
import { test } from "node:test";
import { SluiceError } from "../contracts/errors.js";
import { DEFAULT_RESOLUTIONS } from "../contracts/window.js";
import { systemClock } from "../runtime/clock.js";
import { measureFreshness } from "./freshness.js";
import { World } from "./testing/world.js";

/** Measures on a run that stands still, until the store was asked `rounds` times. */
async function measured(world: World, rounds: number, answer: (round: number) => number | undefined) {
  const stop = new AbortController();
  const newest = world.readings().at(-1)!;
  let round = 0;
  const latency = await measureFreshness({
    ...{ ledger: world.ledger, resolution: DEFAULT_RESOLUTIONS[0]!, clock: systemClock, signal: stop.signal },
    elapsedMs: () => world.ledger.sentMs(newest) + round,
    store: {
      rollups: async ({ device, metric, from }) => {
        if (++round === rounds) stop.abort();
        const rollup = world.rollups.get(`${device}/${metric}/${from}`)!;
        const missing = answer(round);
        return missing === undefined ? [] : [{ ...rollup, count: rollup.count - missing }];
      },
    },
  });
  return { latency, round };
}

test("a reading is visible when its window counts it and all before it, not sooner", async () => {
  const { latency } = await measured(new World(), 4, (round) =>
    round === 1 ? undefined : Math.max(0, 4 - round),
  );
  assert.deepEqual([latency.count, latency.max], [1, 4]);
});

test("what does not show before the end is no sample", async () => {
  const { latency, round } = await measured(new World(), 3, () => 1);
  assert.deepEqual([latency.count, round], [0, 3]);
});

test("a store that is away for a moment is asked again; any other failure is told", async () => {
  const away = await measured(new World(), 2, (round) => {
    if (round === 1) throw new SluiceError("STORE_UNAVAILABLE", "away");
    return 0;
  });
  assert.equal(away.latency.count, 1);
  await assert.rejects(
    measured(new World(), 2, () => {
      throw new Error("bad answer");
    }),
    /bad answer/,
  );
});
