/**
 * kill -9 under load, everything embedded: what was acked before each crash is there after it, and counts once.
 */
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { embeddedLog } from "./clients.js";
import { assertAllCounted, assertReconciled, type RunningFleet, startFleet } from "./fleet.js";
import { type Sluice, Workspace } from "./harness.js";

const FAULTS = { duplicates: 0.02, reordered: 0.02, malformed: 0.01, late: 0.02, cuts: 0.002 };
const LOAD = { devices: 40, ratePerDevice: 20, faults: FAULTS };
const KILLS = 4;

/** Kills one of `victims` at a random moment of the running fleet, `kills` times; each comes back. */
async function crashLoop(fleet: RunningFleet, victims: readonly Sluice[], kills: number): Promise<void> {
  for (let kill = 0; kill < kills; kill++) {
    await fleet.progressed(200);
    await sleep(Math.random() * 1_000);
    const victim = victims[kill % victims.length]!;
    await victim.kill();
    await victim.start();
  }
  await fleet.progressed(200);
}

test(`sluice up killed ${KILLS} times under a faulty fleet`, async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  const log = await embeddedLog(space);
  const fleet = await startFleet(space, log, sluice.mqttUrl, LOAD);
  await crashLoop(fleet, [sluice], KILLS);
  await assertAllCounted(fleet, { log, gateway: sluice, rollups: sluice });
  await assertReconciled(space);
});

test("gateway and processor as two processes, each killed twice under load", async (t) => {
  const space = Workspace.of(t);
  const processor = await space.start({ command: "processor" });
  const gateway = await space.start({ command: "gateway" });
  const log = await embeddedLog(space);
  const fleet = await startFleet(space, log, gateway.mqttUrl, LOAD);
  await crashLoop(fleet, [gateway, processor], KILLS);
  await assertAllCounted(fleet, { log, gateway, rollups: processor });
  await assertReconciled(space);
});
