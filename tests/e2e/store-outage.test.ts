/**
 * The time-series store fails in every way a server can while devices go on sending: acks do not wait for it, nothing
 * is lost, and processing goes on by itself when it is back.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeadLetterRecord } from "../../contracts/dead-letter.js";
import { client, embeddedLog, publish, settled } from "./clients.js";
import { assertAllCounted, startFleet } from "./fleet.js";
import { type Sluice, until, Workspace } from "./harness.js";
import { LineProtocolServer, type Mode, WORKING } from "./line-protocol-server.js";

const LOAD = { devices: 20, ratePerDevice: 20, faults: { duplicates: 0.02, reordered: 0.02, late: 0.02 } };

function storeEnv(server: LineProtocolServer): Record<string, string> {
  return { SLUICE_STORE: "influx", SLUICE_INFLUX_URL: server.url, SLUICE_INFLUX_TOKEN: "token" };
}

/** Whether `/readyz` says that the store is to blame. */
async function blamesStore(sluice: Sluice): Promise<boolean> {
  const response = await sluice.fetch("/readyz");
  const { checks } = (await response.json()) as { checks: { name: string; ok: boolean }[] };
  return response.status === 503 && checks.some(({ name, ok }) => name === "store" && !ok);
}

test("down, 503, 429, stored and answered 500: devices are acked throughout and every rollup is right", async (t) => {
  const space = Workspace.of(t);
  const server = await LineProtocolServer.start(space);
  const sluice = await space.start({ env: storeEnv(server) });
  const log = await embeddedLog(space);
  const fleet = await startFleet(space, log, sluice.mqttUrl, LOAD);
  const written = async (more: number) => {
    const from = server.requests;
    await until(`${more} more write requests`, () => server.requests >= from + more);
  };

  await fleet.progressed(400);
  await server.down();
  await until("/readyz to blame the store", () => blamesStore(sluice));
  await fleet.progressed(800);
  await server.up();
  await written(2);

  const failures: Mode[] = [
    { store: false, status: 503 },
    { store: false, status: 429 },
    { store: true, status: 500 },
  ];
  for (const mode of failures) {
    server.mode = mode;
    await written(3);
    await fleet.progressed(200);
    server.mode = WORKING;
    await written(1);
  }
  // A crash in a commit that fails: the state may not be ahead of what the store holds, or the only reading of these
  // windows would never be written.
  const ts = Date.now() - 60_000;
  for (const store of [false, true]) {
    const mode = { store, status: 500 };
    server.change = { line: new RegExp(`device=once-${store},`), mode };
    await publish(await client(space, sluice), `once-${store}`, { ts, values: { temperature: 20 } });
    await until("the commit to fail", () => server.mode === mode);
    await sluice.kill();
    server.mode = WORKING;
    await sluice.start();
  }
  await fleet.progressed(200);
  await assertAllCounted(fleet, { log, gateway: sluice, rollups: server });
  for (const device of ["once-false", "once-true"]) {
    const series = { device, metric: "temperature", resolution: "1m" };
    await until(`the only reading of ${device}`, async () => {
      const [window] = await server.rollups({ ...series, from: 0, to: Date.now() });
      return window?.count === 1;
    });
  }
});

test("a line that the store refuses is a dead letter with the server's words; the rest is written", async (t) => {
  const space = Workspace.of(t);
  const server = await LineProtocolServer.start(space);
  const words = "unable to parse 'telemetry_10s': the server does not like this device";
  server.refuse = { line: /^telemetry_10s,device=disliked,/, words };
  const sluice = await space.start({ env: storeEnv(server) });
  const log = await embeddedLog(space);
  const fleet = await startFleet(space, log, sluice.mqttUrl, LOAD);
  const ts = Date.now() - 60_000;
  const mqtt = await client(space, sluice);
  await publish(mqtt, "disliked", { ts, values: { temperature: 20 } });
  await mqtt.endAsync();
  await fleet.progressed(1_000);
  await assertAllCounted(fleet, { log, gateway: sluice, rollups: server });

  await settled(sluice, log);
  const args = ["--reason", "store_rejected", "--data-dir", space.dataDir, "--json"];
  const list = await space.command(["dlq", "list", ...args]);
  assert.equal(list.code, 0, list.stderr);
  const { deadLetters } = JSON.parse(list.stdout) as { deadLetters: DeadLetterRecord[] };
  assert.equal(deadLetters.length, 1);
  assert.ok(deadLetters[0]!.detail.includes(words), deadLetters[0]!.detail);
  const line = Buffer.from(deadLetters[0]!.payload, "base64").toString();
  assert.match(line, /^telemetry_10s,device=disliked,metric=temperature count=1i,min=20,/);
  const disliked = { device: "disliked", metric: "temperature", from: 0, to: Date.now() };
  assert.equal((await server.rollups({ ...disliked, resolution: "10s" })).length, 0);
  assert.equal((await server.rollups({ ...disliked, resolution: "1m" })).length, 1, "only the bad line");
});
