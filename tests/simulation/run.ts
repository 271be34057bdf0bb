/**
 * One seed: devices publish while gateway and processor crash and recover, then everything is judged.
 */
import { checkWorld } from "./check.js";
import { type Ledger, runDevice } from "./devices.js";
import { World } from "./world.js";

const HOUR_MS = 3_600_000;

/** What a run did, for the summary of many. */
export interface Outcome {
  readings: number;
  crashes: number;
}

/** @throws AssertionError when a promise is broken, Error when the world stands still */
export async function runSeed(seed: number): Promise<Outcome> {
  const world = new World(seed, { failure: 0, maxDelayMs: 0 });
  const { rng, clock } = world;
  world.trouble = { failure: rng.pick([0, 0.05, 0.2]), maxDelayMs: rng.pick([0, 50, 2_000]) };
  await world.prepare();
  world.startGateway();
  await startProcessor(world);

  const ledger: Ledger = { acked: new Set(), ackedInvalid: [] };
  let publishing = true;
  const devices = Array.from({ length: 1 + rng.int(5) }, (_, i) =>
    runDevice(world, `d${i}`, 5 + rng.int(40), ledger),
  );
  void Promise.all(devices).then(() => {
    publishing = false;
  });
  const crashes = crashLoop(world, () => publishing);
  await clock.runUntil(() => !publishing, 48 * HOUR_MS);

  world.trouble = { failure: 0, maxDelayMs: 0 };
  let crashCount: number | undefined;
  void crashes.then((count) => {
    crashCount = count;
  });
  await clock.runUntil(() => crashCount !== undefined, HOUR_MS);
  if (!world.processor) await startProcessor(world);
  await world.caughtUp();
  await checkWorld(world, ledger);
  return { readings: world.readings().length, crashes: crashCount! };
}

/** Kills and restarts gateway and processor at random moments until told to stop. */
async function crashLoop(world: World, running: () => boolean): Promise<number> {
  const { rng, clock } = world;
  let crashes = 0;
  const meanMs = rng.pick([20_000, 120_000, 1_200_000]);
  while (running()) {
    await clock.sleep(rng.int(2 * meanMs));
    crashes++;
    if (rng.next() < 0.5) {
      world.killGateway();
      await clock.sleep(rng.int(5_000));
      world.startGateway();
    } else {
      if (rng.next() < 0.8) world.killProcessor();
      else await world.stopProcessor();
      await clock.sleep(rng.int(30_000));
      await startProcessor(world);
    }
  }
  return crashes;
}

/** As a supervisor would: tries again until it starts. */
async function startProcessor(world: World): Promise<void> {
  for (;;) {
    try {
      return await world.startProcessor();
    } catch {
      world.killProcessor();
      await world.clock.sleep(1_000);
    }
  }
}
