/**
 * Whole fleets through Sluice with a real Kafka as its log: nothing lost, nothing counted twice, also when Sluice or
 * brokers are killed under load.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { stats } from "./clients.js";
import { assertAllCounted, assertReconciled, assertVerdict, reportOf, startFleet } from "./fleet.js";
import { needs, Workspace } from "./harness.js";
import { KAFKA_NEEDS, Kafka } from "./kafka.js";

const FAULTS = { duplicates: 0.02, reordered: 0.02, malformed: 0.01, late: 0.02, cuts: 0.002 };
const LOAD = { devices: 40, ratePerDevice: 15, faults: FAULTS };

test("100,000 readings of 200 devices through Kafka, then kill -9 of Sluice and of the broker", async (t) => {
  if (!needs(t, ...KAFKA_NEEDS)) return;
  const space = Workspace.of(t);
  const kafka = await Kafka.start(space);
  const sluice = await space.start({ env: kafka.env });

  await t.test("0 lost, 0 duplicated, rollups equal to the ledger's", async () => {
    const where = ["--url", sluice.mqttUrl, "--api", sluice.httpUrl, "--data-dir", space.dataDir, "--json"];
    const size = ["--devices", "200", "--rate", "0", "--duration", "500"];
    const report = reportOf(await space.command(["sim", ...where, ...size], kafka.env));
    assertVerdict(report);
    assert.deepEqual([report.sent, report.acked, report.readings], [100_000, 100_000, 100_000]);
    assert.deepEqual(report.stats.delta, { received: 100_000, readings: 100_000, invalid: 0 });
    assert.equal((await stats(sluice)).duplicates, 0);
  });

  await t.test("the broker, then Sluice killed under load", async () => {
    const log = await kafka.openLog(space);
    const fleet = await startFleet(space, log, sluice.mqttUrl, LOAD);
    await fleet.progressed(500);
    await kafka.kill();
    await kafka.restart();
    await fleet.progressed(500);
    await sluice.kill();
    await sluice.start();
    await fleet.progressed(500);
    await assertAllCounted(fleet, { log, gateway: sluice, rollups: sluice, logFailed: true });
    await assertReconciled(space, kafka.env);
  });
});

test("three brokers, one killed and restarted under load: acks go on without it", async (t) => {
  if (!needs(t, ...KAFKA_NEEDS)) return;
  const space = Workspace.of(t);
  const kafka = await Kafka.start(space, 3);
  const sluice = await space.start({ env: kafka.env });
  const log = await kafka.openLog(space);
  const fleet = await startFleet(space, log, sluice.mqttUrl, LOAD);
  await fleet.progressed(500);
  await kafka.kill(2);
  await fleet.progressed(1_000);
  await kafka.restart(2);
  await fleet.progressed(500);
  await assertAllCounted(fleet, { log, gateway: sluice, rollups: sluice, logFailed: true });
  await assertReconciled(space, kafka.env);
});
