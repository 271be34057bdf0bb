import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT, Workspace } from "../../tests/e2e/harness.js";

test("sim keeps a ledger; sim verify judges it again, later, and finds what is not there", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  const urls = ["--url", sluice.mqttUrl, "--api", sluice.httpUrl, "--data-dir", space.dataDir];
  const path = join(space.dir, "run.ledger");
  const fleet = ["--devices", "3", "--rate", "0", "--duration", "60", "--ledger", path, "--drain", "60"];
  const kinds = ["--anomalies", "2", "--anomaly-kinds", "drift,dropout"];
  const run = await space.command(["sim", ...fleet, ...kinds, ...urls, "--json"]);
  assert.equal(run.code, 0, run.stderr);
  const header = JSON.parse(readFileSync(path, "utf8").split("\n")[0]!);
  assert.deepEqual(
    header.anomalies.map(({ kind }: { kind: string }) => kind),
    ["drift", "dropout"],
  );

  const page = join(space.dir, "report.html");
  const judge = ["sim", "verify", path, ...urls.slice(2), "--json"];
  const later = await space.command([...judge, "--report", page, "--resolution", "1m"]);
  assert.equal(later.code, 0, later.stderr);
  const report = JSON.parse(later.stdout);
  assert.deepEqual([report.ok, report.readings, report.rollups.resolution], [true, 180, "1m"]);
  assert.ok(existsSync(page));

  const elsewhere = ["--data-dir", join(space.dir, "empty")];
  const different = await space.command([...judge, "--settle", "1", ...elsewhere]);
  assert.equal(different.code, 1);
  const verdict = JSON.parse(different.stdout);
  assert.deepEqual([verdict.ok, verdict.lost], [false, 180]);
});

test("sim play sends a CSV file; flags that contradict a scenario are refused", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  const path = join(space.dir, "rows.csv");
  writeFileSync(path, "timestamp,device,m\n1732350000,d1,1\n1732353600,d2,2\n");
  const play = ["sim", "play", path, "--url", sluice.mqttUrl, "--json", "--speed"];
  const played = await space.command([...play, "3600x"]);
  assert.deepEqual(JSON.parse(played.stdout), { sent: 2, acked: 2, resent: 0 });
  const { readings } = await sluice.getJson<{ readings: number }>("/api/v1/stats");
  assert.equal(readings, 2);
  const wrong = await space.command([...play, "fast"]);
  assert.deepEqual([wrong.code, /--speed fast/.test(wrong.stderr)], [1, true]);
  const both = await space.command(["sim", "--scenario", "x.yaml", "--devices", "3"]);
  assert.deepEqual([both.code, /with --scenario .* devices/.test(both.stderr)], [1, true]);
});

test("sim runs the example scenario against Sluice and finds everything", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  const urls = ["--url", sluice.mqttUrl, "--api", sluice.httpUrl, "--data-dir", space.dataDir];
  const scenario = join(ROOT, "docs/scenarios/plant.yaml");
  const run = await space.command(["sim", "--scenario", scenario, "--client", "light", ...urls, "--json"]);
  assert.equal(run.code, 0, run.stderr + run.stdout);
  const report = JSON.parse(run.stdout);
  assert.equal(report.ok, true);
  assert.ok(report.invalidSeen > 0 && report.late > 0);
});
