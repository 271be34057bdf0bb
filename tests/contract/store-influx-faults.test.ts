/**
 * The Influx store against a server that is down, overloaded, misconfigured or picky: no line is lost, hidden or
 * retried out of sight.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it, type TestContext } from "node:test";
import { type InfluxStoreOptions, openInfluxStore } from "../../adapters/store/influx/index.js";
import { hasCode } from "../../contracts/errors.js";
import type { Store } from "../../contracts/ports/store.js";
import { systemClock } from "../../runtime/clock.js";
import { createLogger } from "../../runtime/logger.js";
import { createRegistry } from "../../runtime/metrics.js";
import { alert, rollup, summary } from "../../testkit/contracts/store-suite.js";

const NOTHING = { rollups: [], alerts: [], devices: [] };
const QUERY = { device: "d", metric: "temperature", resolution: "10s", from: 0, to: 2e12 };
const START = 1_732_350_000_000;

type Answer = (lines: string[], response: ServerResponse, request: IncomingMessage) => void;

interface Fake {
  store: Store;
  /** Lines of each write request, in order of arrival. */
  requests: string[][];
}

function open(url: string, change: Partial<InfluxStoreOptions> = {}): Store {
  const connection = { url, token: "t", org: "o", bucket: "b", timeoutMs: 5_000 };
  return openInfluxStore({ ...connection, logger: createLogger("silent"), clock: systemClock, ...change });
}

/** A server that answers writes as the test says. */
async function fake(t: TestContext, answer: Answer, change: Partial<InfluxStoreOptions> = {}): Promise<Fake> {
  const requests: string[][] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    const lines = body.split("\n");
    requests.push(lines);
    answer(lines, response, request);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { store: open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, change), requests };
}

function reply(response: ServerResponse, status: number, message = ""): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(status === 204 ? undefined : JSON.stringify({ code: "x", message }));
}

function rollups(count: number) {
  return Array.from({ length: count }, (_, i) => rollup("d", { start: START + i * 10_000, sum: i }));
}

function unavailable(words: RegExp = /./) {
  return (error: Error) => hasCode(error, "STORE_UNAVAILABLE") && words.test(error.message);
}

describe("Influx store, server down", () => {
  for (const dialect of ["influxdb", "questdb"] as const) {
    it(`is unavailable in every call: ${dialect}`, async () => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      server.close();
      await once(server, "close");
      const store = open(`http://127.0.0.1:${port}`, { dialect });
      const refused = unavailable(/ECONNREFUSED/);
      await assert.rejects(store.write({ ...NOTHING, rollups: [rollup("d")] }), refused);
      await assert.rejects(store.rollups(QUERY), refused);
      await assert.rejects(store.alerts({}), refused);
      await assert.rejects(store.devices(), refused);
      await assert.rejects(store.check(), refused);
    });
  }
});

describe("Influx store, server failing", () => {
  for (const status of [200, 301, 401, 403, 404, 408, 429, 500, 503]) {
    it(`turns ${status} into one STORE_UNAVAILABLE, after one request`, async (t) => {
      const { store, requests } = await fake(t, (_, response) => {
        response.setHeader("retry-after", "0");
        reply(response, status, "the server's words");
      });
      await assert.rejects(store.write({ ...NOTHING, rollups: rollups(10) }), unavailable());
      assert.equal(requests.length, 1);
      assert.equal(requests[0]!.length, 10);
    });
  }

  it("repeats the server's words", async (t) => {
    const { store } = await fake(t, (_, response) => reply(response, 401, "unauthorized access"));
    await assert.rejects(
      store.write({ ...NOTHING, rollups: rollups(1) }),
      unavailable(/unauthorized access.*token/),
    );
  });

  it("does not take an answer for success that only promises one", async (t) => {
    const { store } = await fake(t, (_, response) => {
      response.writeHead(500, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: "write failed: hinted handoff queue not empty" }));
    });
    await assert.rejects(store.write({ ...NOTHING, rollups: rollups(1) }), unavailable());
  });

  it("is unavailable when the connection ends after the lines were stored; writing again is the same lines", async (t) => {
    let fail = true;
    const { store, requests } = await fake(t, (_, response) => {
      if (fail) response.destroy();
      else reply(response, 204);
    });
    const batch = { ...NOTHING, rollups: rollups(100) };
    await assert.rejects(store.write(batch), unavailable());
    fail = false;
    assert.deepEqual(await store.write(batch), []);
    assert.deepEqual(requests[1], requests[0]);
  });

  it("does not wait for ever", async (t) => {
    const { store } = await fake(t, () => {}, { timeoutMs: 100 });
    await assert.rejects(store.write({ ...NOTHING, rollups: rollups(1) }), unavailable());
  });

  it("keeps writes apart that run at once", async (t) => {
    const { store } = await fake(t, (lines, response) => {
      reply(response, lines.some((line) => line.includes("device=bad,")) ? 503 : 204, "busy");
    });
    const writes = ["a", "bad", "c"].map((device) => store.write({ ...NOTHING, rollups: [rollup(device)] }));
    const results = await Promise.allSettled(writes);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
  });

  it("is closed after close", async (t) => {
    const { store, requests } = await fake(t, (_, response) => reply(response, 204));
    await store.close();
    await assert.rejects(store.write({ ...NOTHING, rollups: rollups(1) }), unavailable(/closed/));
    await assert.rejects(store.devices(), unavailable(/closed/));
    assert.equal(requests.length, 0);
  });
});

describe("Influx store, lines", () => {
  it("sends every line exactly once, in order, in requests of bounded size", async (t) => {
    const { store, requests } = await fake(t, (_, response) => reply(response, 204));
    assert.deepEqual(await store.write({ ...NOTHING, rollups: rollups(12_000) }), []);
    assert.deepEqual(
      requests.map((lines) => lines.length),
      [5_000, 5_000, 2_000],
    );
    const sums = requests.flat().map((line) => Number(/,sum=(\d+),/.exec(line)![1]));
    assert.deepEqual(sums, [...Array(12_000).keys()]);
  });

  it("finds the lines that the server will not take, and stores all others", async (t) => {
    const stored = new Set<string>();
    const { store } = await fake(t, (lines, response) => {
      const bad = lines.find((line) => line.includes("device=bad"));
      if (bad !== undefined) return reply(response, 400, `unable to parse '${bad}': invalid boolean`);
      for (const line of lines) stored.add(line);
      reply(response, 204);
    });
    const rows = rollups(1_000);
    for (const i of [0, 1, 500, 999]) rows[i] = { ...rows[i]!, device: `bad${i}` };
    const rejected = await store.write({
      rollups: rows,
      alerts: [alert("bad-a", "id")],
      devices: [summary("good")],
    });
    assert.deepEqual(
      rejected.map(({ kind, line }) => [kind, /device=([\w-]+)/.exec(line)![1]]),
      [...[0, 1, 500, 999].map((i) => ["rollup", `bad${i}`]), ["alert", "bad-a"]],
    );
    for (const { line, reason } of rejected)
      assert.ok(reason.includes(line), "the reason is the server's, for that line");
    assert.equal(stored.size, 997);
  });

  it("takes a 400 that is about no line for a wrong configuration", async (t) => {
    const { store, requests } = await fake(t, (_, response) => reply(response, 400, "bad precision"));
    await assert.rejects(store.write({ ...NOTHING, rollups: rollups(10) }), unavailable(/bad precision/));
    assert.equal(requests.length, 1);
  });

  it("divides what is too large, and returns the line that is too large alone", async (t) => {
    const stored: string[] = [];
    const { store } = await fake(t, (lines, response) => {
      if (lines.join("\n").length > 2_000) return reply(response, 413, "too large");
      stored.push(...lines);
      reply(response, 204);
    });
    const long = alert("d", "id", { summary: "x".repeat(3_000) });
    const rejected = await store.write({ rollups: rollups(100), alerts: [long], devices: [] });
    assert.deepEqual(
      rejected.map(({ kind, reason }) => [kind, reason]),
      [["alert", "too large"]],
    );
    assert.equal(stored.length, 100);
  });

  it("returns rows that line protocol cannot hold, and sends the rest", async (t) => {
    const { store, requests } = await fake(t, (_, response) => reply(response, 204));
    const rejected = await store.write({
      rollups: [
        rollup("d", { max: Number.NaN }),
        rollup("d", { sum: Number.NEGATIVE_INFINITY }),
        rollup("d", { count: 1.5 }),
        rollup("has space"),
        rollup(""),
        rollup("d", { metric: "ends in \\" }),
        rollup("d", { resolution: "10s,x=y" }),
        rollup("fine"),
      ],
      alerts: [
        alert("d", "id", { value: Number.NaN }),
        alert("d", "", {}),
        alert("d", "id", { upper: 1 / 0 }),
      ],
      devices: [summary("d", { latest: { t: Number.NaN } }), summary("d\nx"), summary("fine")],
    });
    assert.deepEqual(
      rejected.map(({ kind }) => kind),
      [...Array(7).fill("rollup"), ...Array(3).fill("alert"), ...Array(2).fill("device")],
    );
    assert.match(rejected[0]!.reason, /max is NaN/);
    assert.deepEqual(
      requests.flat().map((line) => /device=(\w+)/.exec(line)![1]),
      ["fine", "fine"],
    );
  });

  it("writes one line per row, whatever the text", async (t) => {
    const { store, requests } = await fake(t, (_, response) => reply(response, 204));
    const texts = ["", "\\", "a\nb\r\nc", "a b,c=d", '"', "\u2028", "🔥", " "];
    const alerts = texts.map((text, i) =>
      alert("d", `id${i}`, { rule: text, summary: text, detector: text }),
    );
    assert.deepEqual(await store.write({ ...NOTHING, alerts }), []);
    assert.equal(requests[0]!.length, texts.length);
    for (const line of requests[0]!)
      assert.match(line, /^alerts,.*,rule=.*[^\\],severity=critical,state=firing value=/u);
  });

  it("counts rows, refused rows and errors", async (t) => {
    const registry = createRegistry();
    let status = 204;
    const { store } = await fake(t, (_, response) => reply(response, status), { registry });
    await store.write({ rollups: [rollup("a"), rollup("b b")], alerts: [], devices: [summary("a")] });
    status = 500;
    await assert.rejects(store.write({ ...NOTHING, rollups: [rollup("a")] }));
    const text = await registry.metrics();
    assert.match(text, /sluice_store_rows_written_total\{kind="rollup"\} 1/);
    assert.match(text, /sluice_store_rows_written_total\{kind="device"\} 1/);
    assert.match(text, /sluice_store_rejected_rows_total 1/);
    assert.match(text, /sluice_store_errors_total 1/);
    assert.match(text, /sluice_store_write_seconds_count 1/);
  });
});
