/**
 * Backup and restore as docs/operations.md says: a copy of the data folder of a stopped Sluice is all there is to it.
 */
import assert from "node:assert/strict";
import { cpSync, existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { client, publish, rollups, stats, type Window, windowsWith } from "../e2e/clients.js";
import { type Sluice, until, Workspace } from "../e2e/harness.js";

const DEVICES = ["d1", "d2", "d3"];
const READINGS = 40;
const START = Math.floor((Date.now() - 3_600_000) / 60_000) * 60_000;

/** Readings [from, to) of every device, three seconds apart. */
async function send(space: Workspace, sluice: Sluice, from: number, to: number): Promise<void> {
  const mqtt = await client(space, sluice);
  for (const device of DEVICES) {
    for (let seq = from; seq < to; seq++)
      await publish(mqtt, device, { ts: START + seq * 3_000, seq, values: { level: Math.sin(seq) } });
  }
  await mqtt.endAsync();
}

/** All windows of all devices, once each device has `count` readings. */
async function everything(sluice: Sluice, count: number): Promise<Window[][]> {
  const found: Window[][] = [];
  for (const device of DEVICES) {
    await windowsWith(sluice, count, device, "level");
    for (const resolution of ["10s", "1m", "1h", "1d"])
      found.push(await rollups(sluice, { device, metric: "level", resolution }));
  }
  return found;
}

test("a copy of the data folder restores log, rollups and state", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  await send(space, sluice, 0, READINGS);
  const before = await everything(sluice, READINGS);
  assert.equal(await sluice.stop(), 0);

  const backup = join(space.dir, "backup");
  cpSync(space.dataDir, backup, { recursive: true });

  // Life goes on after the backup, and then the disk is lost.
  await sluice.start();
  await send(space, sluice, READINGS, READINGS + 10);
  await everything(sluice, READINGS + 10);
  await sluice.kill();
  rmSync(space.dataDir, { recursive: true });

  cpSync(backup, space.dataDir, { recursive: true });
  await sluice.start();
  assert.deepEqual(await everything(sluice, READINGS), before);

  // Devices send again what they sent after the backup, and some of what is in it: each counts once.
  await send(space, sluice, READINGS - 5, READINGS + 10);
  await everything(sluice, READINGS + 10);
  await until("the repeats to be processed", async () => {
    const { duplicates } = (await stats(sluice)) as unknown as { duplicates: number };
    return duplicates === 5 * DEVICES.length;
  });
  for (const windows of await everything(sluice, READINGS + 10)) {
    assert.equal(
      windows.reduce((sum, window) => sum + window.count, 0),
      READINGS + 10,
    );
  }
});

test("the log alone is enough: rollups and state are made from it again", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  await send(space, sluice, 0, READINGS);
  const before = await everything(sluice, READINGS);
  assert.equal(await sluice.stop(), 0);
  assert.ok(existsSync(join(space.dataDir, "state")));
  renameSync(join(space.dataDir, "state"), join(space.dir, "lost"));
  await sluice.start();
  assert.deepEqual(await everything(sluice, READINGS), before);
});
