/**
 * The Influx store against a real InfluxDB 2.7: its contract, with embedded checkpoints, and what the server refuses.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { outputsThenCheckpoint } from "../../adapters/checkpoint/outputs-first.js";
import { openEmbeddedState } from "../../adapters/store/embedded/index.js";
import { type InfluxStoreOptions, openInfluxStore } from "../../adapters/store/influx/index.js";
import { hasCode } from "../../contracts/errors.js";
import { systemClock } from "../../runtime/clock.js";
import { createLogger } from "../../runtime/logger.js";
import { checkpointContractSuite } from "../../testkit/contracts/checkpoint-suite.js";
import {
  alert,
  eventually,
  rollup,
  storeContractSuite,
  summary,
  unique,
} from "../../testkit/contracts/store-suite.js";
import { missingTools, type Server, startServer } from "./store-server.js";

const skip = await missingTools("InfluxDB", ["go", "cargo"]);
const NOTHING = { rollups: [], alerts: [], devices: [] };

describe("InfluxDB 2.7", { skip }, () => {
  let server: Server;
  before(async () => {
    server = await startServer("influxdb");
  });
  after(() => server?.stop());

  function open(change: Partial<InfluxStoreOptions> = {}) {
    const { url, token = "", org = "", bucket = "" } = server;
    const logger = createLogger("error");
    return openInfluxStore({
      url,
      token,
      org,
      bucket,
      timeoutMs: 10_000,
      logger,
      clock: systemClock,
      ...change,
    });
  }

  async function api(path: string, body: unknown): Promise<Record<string, unknown>> {
    const headers = { authorization: `Token ${server.token}`, "content-type": "application/json" };
    const get = body === undefined;
    const response = await fetch(`${server.url}/api/v2/${path}`, {
      method: get ? "GET" : "POST",
      headers,
      ...(!get && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    assert.ok(response.ok, text);
    return text === "" ? {} : JSON.parse(text);
  }

  storeContractSuite("InfluxDB 2.7", async () => {
    const store = open();
    return { store, close: () => store.close() };
  });

  checkpointContractSuite("embedded checkpoints, InfluxDB outputs", async () => {
    const dir = mkdtempSync(join(tmpdir(), "sluice-influx-"));
    const logger = createLogger("error");
    const [state, rival] = [openEmbeddedState({ dir, logger }), openEmbeddedState({ dir, logger })];
    const store = open();
    const options = { onRejected: async () => assert.fail("nothing is rejected") };
    return {
      checkpoints: outputsThenCheckpoint(state.checkpoints, store, options),
      rival: outputsThenCheckpoint(rival.checkpoints, store, options),
      store,
      close: async () => {
        await Promise.all([state.close(), rival.close(), store.close()]);
        rmSync(dir, { recursive: true });
      },
    };
  });

  it("returns exactly the rows of another type, and stores the rest", async () => {
    // A measurement in which somebody wrote `count` as text before.
    const path = `write?org=${server.org}&bucket=${server.bucket}&precision=ms`;
    await api(path, 'telemetry_7s,device=foreign,metric=m count="text" 1732350000000');
    const store = open();
    const device = unique("conflict");
    const start = Math.floor(1_732_350_000_000 / 7_000) * 7_000;
    const bad = rollup(device, { resolution: "7s", start });
    const good = Array.from({ length: 50 }, (_, i) =>
      rollup(device, { start: 1_732_350_000_000 + i * 10_000 }),
    );
    const rejected = await store.write({
      ...NOTHING,
      rollups: [...good.slice(0, 20), bad, ...good.slice(20)],
    });
    assert.equal(rejected.length, 1);
    assert.match(rejected[0]!.reason, /field type conflict/);
    assert.match(rejected[0]!.line, new RegExp(`^telemetry_7s,device=${device},`));
    const query = { device, metric: "temperature", resolution: "10s", from: 0, to: 2e12 };
    await eventually(() => store.rollups(query), good);
  });

  it("returns what a retention period refuses, and keeps devices in such a bucket", async () => {
    const orgs = (await api(`orgs?org=${server.org}`, undefined)) as { orgs: { id: string }[] };
    const bucket = unique("short");
    const retentionRules = [{ type: "expire", everySeconds: 7_200 }];
    await api("buckets", { orgID: orgs.orgs[0]!.id, name: bucket, retentionRules });
    const store = open({ bucket });
    await store.check();
    const recent = rollup("d", { start: Math.floor(Date.now() / 10_000) * 10_000 });
    const old = Array.from({ length: 30 }, (_, i) => rollup("d", { start: i * 10_000 }));
    const rejected = await store.write({ ...NOTHING, rollups: [...old, recent], devices: [summary("d")] });
    assert.equal(rejected.length, 30);
    assert.match(rejected[0]!.reason, /retention/);
    assert.equal((await store.write({ ...NOTHING, rollups: old })).length, 30);
    const query = { device: "d", metric: "temperature", resolution: "10s", from: 0, to: 1e15 };
    await eventually(() => store.rollups(query), [recent]);
    await eventually(() => store.devices(), [summary("d")]);
  });

  it("says what is wrong with its token and its bucket, and refuses no row for it", async () => {
    const wrong: [Partial<InfluxStoreOptions>, RegExp][] = [
      [{ token: "wrong" }, /401|token/],
      [{ bucket: "nowhere" }, /nowhere/],
      [{ org: "nobody" }, /404|nobody|organi/],
    ];
    for (const [change, words] of wrong) {
      const store = open(change);
      const refusal = (error: Error) => hasCode(error, "STORE_UNAVAILABLE") && words.test(error.message);
      await assert.rejects(store.write({ ...NOTHING, rollups: [rollup("d")] }), refusal);
      await assert.rejects(store.check(), refusal);
    }
  });

  it("takes names in queries as names, never as Flux", async () => {
    const store = open();
    await store.write({ ...NOTHING, rollups: [rollup("d")], alerts: [alert("d", unique("id"))] });
    const attack = 'x" or true or r.device == "';
    const query = { device: attack, metric: "temperature", resolution: "10s", from: 0, to: 2e12 };
    assert.deepEqual(await store.rollups(query), []);
    assert.deepEqual(await store.rollups({ ...query, device: "d", metric: attack }), []);
    assert.deepEqual(await store.rollups({ ...query, device: "d", resolution: attack }), []);
    assert.deepEqual(await store.alerts({ device: attack }), []);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Flux interpolates ${}.
    assert.deepEqual(await store.alerts({ device: "${r.device}" }), []);
  });
});
