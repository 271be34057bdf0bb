import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Workspace } from "../../tests/e2e/harness.js";

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
