/**
 * What a person does when something went wrong: dead letters retried after the cause is mended, a store held against
 * the log and repaired, a damaged state rebuilt, on real processes beside live processing.
 */
import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openEmbeddedState } from "../../adapters/store/embedded/index.js";
import type { ReconcileReport } from "../../processors/reconcile/reconcile.js";
import { createLogger } from "../../runtime/logger.js";
import { client, embeddedLog, publish, rollups, settled, total, windowsWith } from "./clients.js";
import { Workspace } from "./harness.js";

const START = Math.floor((Date.now() - 3_000_000) / 60_000) * 60_000;

test("dlq retry: after the rule is mended, a dead letter becomes a reading and counts once", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start({ args: ["--ingest-max-values-per-reading", "1"] });
  const mqtt = await client(space, sluice);
  await publish(mqtt, "d1", { ts: START, values: { a: 1, b: 2 } });
  await publish(mqtt, "d1", "not json");
  const dlq = async (...args: string[]) => {
    const { stdout } = await space.command(["dlq", ...args, "--data-dir", space.dataDir, "--json"]);
    return JSON.parse(stdout);
  };
  const { retried, stillInvalid } = await dlq("retry", "--all");
  assert.deepEqual(
    [retried, stillInvalid.map(({ reason }: { reason: string }) => reason)],
    [1, ["not_json"]],
  );
  assert.equal((await dlq("retry", "--all")).retried, 0);
  assert.equal((await dlq("list")).deadLetters.length, 1);
  const windows = await windowsWith(sluice, 1, "d1", "b");
  assert.deepEqual([total(windows), windows[0]!.sum], [1, 2]);
});

test("reconcile finds planted errors beside live processing, repairs them, and then finds nothing", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  const mqtt = await client(space, sluice);
  for (let i = 0; i < 30; i++) await publish(mqtt, "d1", { ts: START + i * 20_000, values: { t: i } });
  await settled(sluice, await embeddedLog(space));
  const reconcile = async (...args: string[]) => {
    const { code, stdout } = await space.command([
      "reconcile",
      ...args,
      "--data-dir",
      space.dataDir,
      "--json",
    ]);
    return { code, report: JSON.parse(stdout) as ReconcileReport };
  };
  assert.deepEqual((await reconcile()).report.differences, []);

  const state = openEmbeddedState({ dir: join(space.dataDir, "state"), logger: createLogger("silent") });
  const query = { device: "d1", metric: "t", resolution: "1m", from: 0, to: Date.now() };
  const [row] = await state.store.rollups(query);
  await state.store.write({ rollups: [{ ...row!, max: row!.max + 1 }], alerts: [], devices: [] });
  await state.close();

  const found = await reconcile();
  assert.deepEqual(
    [
      found.code,
      found.report.differences.map(({ series, field, store, log }) => [series, field, store, log]),
    ],
    [1, [["d1/t/1m", "max", row!.max + 1, row!.max]]],
  );
  assert.equal((await reconcile("--repair")).code, 0);
  assert.equal((await reconcile()).code, 0);
});

test("late readings are visible, and folded in by a repair", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  const mqtt = await client(space, sluice);
  await publish(mqtt, "d1", { ts: START, values: { t: 1 } });
  await publish(mqtt, "d1", { ts: START + 1_800_000, values: { t: 2 } });
  await publish(mqtt, "d1", { ts: START + 1_000, values: { t: 3 } });
  const { late } = await settled(sluice, await embeddedLog(space));
  assert.equal(late, 1);
  const range = { device: "d1", metric: "t", from: START, to: START + 10_000 };
  assert.equal(total(await rollups(sluice, range)), 1);
  const repair = await space.command(["reconcile", "--repair", "--data-dir", space.dataDir]);
  assert.equal(repair.code, 0, repair.stderr);
  assert.equal(total(await rollups(sluice, range)), 2);
});

test("a damaged state is set aside and rebuilt from the log", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  const mqtt = await client(space, sluice);
  for (let i = 0; i < 20; i++) await publish(mqtt, "d1", { ts: START + i * 1_000, values: { t: i } });
  await settled(sluice, await embeddedLog(space));
  await sluice.stop();
  for (const file of readdirSync(join(space.dataDir, "state"))) {
    if (file.endsWith(".mdb") && !file.includes("lock"))
      writeFileSync(join(space.dataDir, "state", file), "damaged");
  }
  await sluice.start();
  assert.equal(total(await windowsWith(sluice, 20, "d1", "t")), 20);
  assert.ok(readdirSync(space.dataDir).some((name) => name.startsWith("state.corrupt-")));
});
