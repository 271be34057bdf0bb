/**
 * Whole fleets through `sluice up` with everything embedded: nothing lost, nothing counted twice, every rollup right.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { stats } from "./clients.js";
import { assertVerdict, reportOf } from "./fleet.js";
import { type Sluice, Workspace } from "./harness.js";

function simArgs(space: Workspace, sluice: Sluice, ...more: string[]): string[] {
  const where = ["--url", sluice.mqttUrl, "--api", sluice.httpUrl, "--data-dir", space.dataDir];
  return ["sim", ...where, "--json", ...more];
}

test("100,000 readings of 200 devices: 0 lost, 0 duplicated, rollups equal to the ledger's", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  const size = ["--devices", "200", "--rate", "0", "--duration", "500"];
  const report = reportOf(await space.command(simArgs(space, sluice, ...size)));
  assertVerdict(report);
  assert.deepEqual([report.sent, report.acked, report.readings], [100_000, 100_000, 100_000]);
  assert.ok(report.stats.checked);
  assert.deepEqual(report.stats.delta, { received: 100_000, readings: 100_000, invalid: 0 });
  const { processed, duplicates, late } = await stats(sluice);
  assert.deepEqual({ processed, duplicates, late }, { processed: 100_000, duplicates: 0, late: 0 });
});

test("a faulty fleet: duplicates, disorder, late uploads, malformed messages, cut connections", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  const size = ["--devices", "50", "--rate", "0", "--duration", "300"];
  const order = ["--duplicates", "0.05", "--reordered", "0.05", "--late", "0.05"];
  const report = reportOf(
    await space.command(simArgs(space, sluice, ...size, ...order, "--malformed", "0.05", "--cuts", "0.01")),
  );
  assertVerdict(report);
  assert.equal(report.readings, 15_000);
  assert.equal(report.invalidSeen, report.invalidExpected);
  const { duplicate, reordered, malformed, late, cut } = report.faults as Record<string, number>;
  for (const [name, count] of Object.entries({ duplicate, reordered, malformed, late, cut })) {
    assert.ok(count! > 50, `${name}: ${count}`);
  }
  assert.ok(report.repeats > 0, "re-sends put further copies into the log, and rollups do not show them");
});

test("QoS 2: a fleet whose connections are cut", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  const size = ["--devices", "20", "--rate", "0", "--duration", "200", "--qos", "2", "--cuts", "0.01"];
  const report = reportOf(await space.command(simArgs(space, sluice, ...size)));
  assertVerdict(report);
  assert.equal(report.readings, 4_000);
});
