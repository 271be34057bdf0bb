/**
 * A real InfluxDB is killed again and again under load: what it had acknowledged is written once, what it had not is
 * written again, and the store holds what the log says.
 */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { embeddedLog } from "./clients.js";
import { assertAllCounted, assertReconciled, startFleet } from "./fleet.js";
import { atExit, needs, ROOT, until, Workspace } from "./harness.js";

const run = promisify(execFile);
const KILLS = 3;

interface Influx {
  pids: number[];
  port: number;
  url: string;
  org: string;
  bucket: string;
  token: string;
}

function script(name: string): string {
  return join(ROOT, "deploy", "influxdb", name);
}

async function up(dir: string, ...args: string[]): Promise<Influx> {
  return JSON.parse((await run(script("up"), ["--dir", dir, "--json", ...args])).stdout) as Influx;
}

function gone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

test(`InfluxDB killed ${KILLS} times under a faulty fleet: every rollup is right`, async (t) => {
  if (!needs(t, "go", "cargo")) return;
  const space = Workspace.of(t);
  const dir = join(space.dir, "influxdb");
  let influx = await up(dir);
  const down = atExit(() => spawnSync(script("down"), [dir]));
  space.onClose(async () => {
    await run(script("down"), [dir]);
    down();
  });
  const { url, org, bucket, token } = influx;
  const env = {
    ...{ SLUICE_STORE: "influx", SLUICE_INFLUX_URL: url, SLUICE_INFLUX_TOKEN: token },
    ...{ SLUICE_INFLUX_ORG: org, SLUICE_INFLUX_BUCKET: bucket },
  };
  const sluice = await space.start({ env });
  const log = await embeddedLog(space);
  const faults = { duplicates: 0.02, reordered: 0.02, late: 0.02 };
  const fleet = await startFleet(space, log, sluice.mqttUrl, { devices: 20, ratePerDevice: 20, faults });
  for (let kill = 0; kill < KILLS; kill++) {
    await fleet.progressed(400);
    for (const pid of influx.pids) process.kill(pid, "SIGKILL");
    await until("InfluxDB to be gone", () => influx.pids.every(gone));
    await fleet.progressed(400);
    influx = await up(dir, "--port", `${influx.port}`);
    assert.equal(influx.url, url);
  }
  await fleet.progressed(200);
  await assertAllCounted(fleet, { log, gateway: sluice, rollups: sluice });
  await assertReconciled(space, env);
});
