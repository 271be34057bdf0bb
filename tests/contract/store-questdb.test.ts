/**
 * The Influx store against a real QuestDB: its contract, and what only QuestDB needs.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { openInfluxStore } from "../../adapters/store/influx/index.js";
import { hasCode } from "../../contracts/errors.js";
import { systemClock } from "../../runtime/clock.js";
import { createLogger } from "../../runtime/logger.js";
import {
  alert,
  eventually,
  rollup,
  storeContractSuite,
  unique,
} from "../../testkit/contracts/store-suite.js";
import { missingTools, type Server, startServer } from "./store-server.js";

const skip = await missingTools("QuestDB", ["java", "mvn"]);
const NOTHING = { rollups: [], alerts: [], devices: [] };
const START = 1_732_350_000_000;

describe("QuestDB", { skip }, () => {
  let server: Server;
  before(async () => {
    server = await startServer("questdb");
  });
  after(() => server?.stop());

  function open() {
    const logger = createLogger("error");
    const common = { token: "", org: "", bucket: "", timeoutMs: 10_000, logger, clock: systemClock };
    return openInfluxStore({ url: server.url, dialect: "questdb", ...common });
  }

  async function sql(query: string): Promise<void> {
    const response = await fetch(`${server.url}/exec?${new URLSearchParams({ query })}`);
    assert.ok(response.ok, await response.text());
  }

  storeContractSuite("QuestDB", async () => {
    const store = open();
    return { store, close: () => store.close() };
  });

  it("makes deduplicating tables for resolutions of its own", async () => {
    const store = open();
    const device = unique("own");
    const start = START - (START % 300_000);
    const query = { device, metric: "temperature", resolution: "5m", from: 0, to: 2e12 };
    assert.deepEqual(await store.rollups(query), []);
    for (const max of [9.5, 1.5]) {
      const row = rollup(device, { resolution: "5m", start, max });
      await store.write({ ...NOTHING, rollups: [row] });
      await eventually(() => store.rollups(query), [row]);
    }
  });

  it("refuses a table that would keep rewritten rows", async () => {
    await sql(
      "CREATE TABLE telemetry_9m (device SYMBOL, timestamp TIMESTAMP) TIMESTAMP(timestamp) PARTITION BY DAY WAL",
    );
    const row = rollup("d", { resolution: "9m", start: 0 });
    const refusal = (error: Error) =>
      hasCode(error, "STORE_UNAVAILABLE") && /telemetry_9m.*DEDUP/.test(error.message);
    await assert.rejects(open().write({ ...NOTHING, rollups: [row] }), refusal);
  });

  it("returns exactly the rows that do not fit their columns, and stores the rest", async () => {
    await sql(
      `CREATE TABLE telemetry_8m (device SYMBOL, metric SYMBOL, count BOOLEAN, timestamp TIMESTAMP)
       TIMESTAMP(timestamp) PARTITION BY DAY WAL DEDUP UPSERT KEYS(timestamp, device, metric)`,
    );
    const store = open();
    const device = unique("conflict");
    const bad = rollup(device, { resolution: "8m", start: 0 });
    const good = Array.from({ length: 20 }, (_, i) => rollup(device, { start: START + i * 10_000 }));
    const rejected = await store.write({ ...NOTHING, rollups: [...good.slice(0, 7), bad, ...good.slice(7)] });
    assert.equal(rejected.length, 1);
    assert.match(rejected[0]!.reason, /cast error|column: count/);
    assert.match(rejected[0]!.line, /^telemetry_8m,/);
    const query = { device, metric: "temperature", resolution: "10s", from: 0, to: 2e12 };
    await eventually(() => store.rollups(query), good);
  });

  it("takes names in queries as names, never as SQL", async () => {
    const store = open();
    const device = unique("d");
    await store.write({ ...NOTHING, rollups: [rollup(device)], alerts: [alert(device, unique("id"))] });
    const query = { device, metric: "temperature", resolution: "10s", from: 0, to: 2e12 };
    await eventually(() => store.rollups(query), [rollup(device)]);
    const attack = "x' OR 'a' = 'a";
    assert.deepEqual(await store.rollups({ ...query, device: attack }), []);
    assert.deepEqual(await store.rollups({ ...query, metric: attack }), []);
    assert.deepEqual(await store.rollups({ ...query, resolution: '10s" --' }), []);
    assert.deepEqual(await store.alerts({ device: attack }), []);
  });
});
