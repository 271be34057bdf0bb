import assert from "node:assert/strict";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, test } from "node:test";
import { aDevice, anAlert, aRollup, type Harness, startHarness } from "./testing/harness.js";
import { chunksOf, openStream } from "./testing/sse.js";

const metric = async (h: Harness, name: string) =>
  (await h.registry.getSingleMetric(name)!.get()).values[0]?.value;

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  const giveUpAt = performance.now() + 30_000;
  while (!(await condition())) {
    if (performance.now() > giveUpAt) assert.fail("the condition never came true");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe("event stream", () => {
  let h: Harness;
  beforeEach(async () => {
    h = await startHarness({
      stream: { statsEveryMs: 20, heartbeatEveryMs: 40, maxBufferedBytes: 100_000, maxClients: 3 },
    });
  });
  afterEach(() => h.api.close());

  test("sends what is committed, and stats again and again", async () => {
    const stream = await openStream(`${h.url}/api/v1/stream`);
    assert.equal(stream.response.headers.get("content-type"), "text/event-stream; charset=utf-8");
    assert.ok(stream.response.headers.get("content-security-policy"));
    h.stats.received = 41;
    await until(async () => ((await stream.next("stats")) as { received: number }).received === 41);
    h.live.publish({ type: "rollups", rollups: [aRollup({ start: 10 })] });
    h.live.publish({ type: "alert", alert: anAlert() });
    h.live.publish({ type: "devices", devices: [aDevice()] });
    assert.deepEqual(await stream.next("rollups"), { rollups: [aRollup({ start: 10 })] });
    assert.deepEqual(await stream.next("alert"), { alert: anAlert() });
    assert.deepEqual(await stream.next("devices"), {
      devices: [{ ...aDevice(), metrics: ["humidity", "temperature"] }],
    });
    stream.close();
  });

  test("device= filters rollups and nothing else; events= chooses", async () => {
    const [one, few] = await Promise.all([
      openStream(`${h.url}/api/v1/stream?device=d2`),
      openStream(`${h.url}/api/v1/stream?events=alert,rollups`),
    ]);
    await until(async () => (await metric(h, "sluice_http_stream_clients")) === 2);
    h.live.publish({ type: "rollups", rollups: [aRollup({ start: 1 })] });
    h.live.publish({
      type: "rollups",
      rollups: [aRollup({ start: 2 }), aRollup({ start: 3, device: "d2" })],
    });
    h.live.publish({ type: "devices", devices: [aDevice()] });
    h.live.publish({ type: "alert", alert: anAlert() });
    assert.deepEqual(await one.next("rollups"), { rollups: [aRollup({ start: 3, device: "d2" })] });
    assert.deepEqual(await one.next("alert"), { alert: anAlert() });
    assert.deepEqual(await few.next("rollups"), { rollups: [aRollup({ start: 1 })] });
    assert.deepEqual(await few.next("alert"), { alert: anAlert() });
    await h.api.close();
    await assert.rejects(few.next("devices"), /ended/);
    await assert.rejects(few.next("stats"), /ended/);
  });

  test("a client that does not read is closed and counted; others go on", async () => {
    const good = await openStream(`${h.url}/api/v1/stream?events=alert`);
    const slow = connect(h.api.port, "127.0.0.1");
    slow.pause();
    slow.write("GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await until(async () => (await metric(h, "sluice_http_stream_clients")) === 2);
    const rollups = Array.from({ length: 2_000 }, (_, n) => aRollup({ start: n }));
    await until(async () => {
      h.live.publish({ type: "rollups", rollups });
      return (await metric(h, "sluice_http_stream_slow_clients_total")) === 1;
    });
    assert.equal(await metric(h, "sluice_http_stream_clients"), 1);
    const closed = new Promise((resolve) => slow.on("close", resolve));
    slow.on("error", () => {}); // The reset that we ask for here.
    slow.resume();
    await closed;
    h.live.publish({ type: "alert", alert: anAlert() });
    assert.deepEqual(await good.next("alert"), { alert: anAlert() });
    good.close();
  });

  test("clients are bounded, and leaving makes room", async () => {
    const open = () => openStream(`${h.url}/api/v1/stream`);
    const streams = await Promise.all([open(), open(), open()]);
    const refused = await h.get("/api/v1/stream");
    assert.equal(refused.status, 503);
    assert.equal((refused.body as { error: { code: string } }).error.code, "TOO_MANY_STREAMS");
    streams[0]!.close();
    await until(async () => (await metric(h, "sluice_http_stream_clients")) === 2);
    (await open()).close();
    for (const stream of streams) stream.close();
  });

  test("an idle stream has heartbeats", async () => {
    const abort = new AbortController();
    const response = await fetch(`${h.url}/api/v1/stream?events=alert`, { signal: abort.signal });
    let text = "";
    for await (const chunk of chunksOf(response)) {
      text += Buffer.from(chunk).toString();
      if (text.includes(": heartbeat\n\n")) break;
    }
    assert.doesNotMatch(text, /event: stats/);
    abort.abort();
  });

  test("closing ends the streams and tells clients to come back", async () => {
    const stream = await openStream(`${h.url}/api/v1/stream`);
    const closing = h.api.close();
    assert.deepEqual(await stream.next("reconnect"), { reason: "closing" });
    await stream.ended;
    await closing;
  });

  test("stats that cannot be had do not end the stream", async () => {
    const stream = await openStream(`${h.url}/api/v1/stream`);
    let asked = 0;
    const fail = () => {
      asked++;
      throw new Error("no stats");
    };
    Object.defineProperty(h.stats, "broken", { configurable: true, enumerable: true, get: fail });
    await until(() => asked > 1);
    Object.defineProperty(h.stats, "broken", { value: 1 });
    await until(async () => ((await stream.next("stats")) as { broken?: number }).broken === 1);
    stream.close();
  });
});
