import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { hasCode } from "../contracts/errors.js";
import { TOPICS } from "../contracts/topics.js";
import {
  aDeadLetter,
  aDevice,
  anAlert,
  appendDeadLetters,
  aRollup,
  type Harness,
  startHarness,
} from "./testing/harness.js";

interface ErrorBody {
  error: { code: string; message: string };
}

describe("HTTP API", () => {
  let h: Harness;
  beforeEach(async () => {
    h = await startHarness();
  });
  afterEach(() => h.api.close());

  test("healthz says the process is alive; readyz says why it is not ready", async () => {
    const health = await h.get("/healthz");
    assert.equal(health.status, 200);
    assert.equal((health.body as { status: string }).status, "ok");
    assert.equal((await h.get("/readyz")).status, 200);
    h.readiness.ok = false;
    h.readiness.checks.push({ name: "store", ok: false, detail: "connection refused" });
    const ready = await h.get("/readyz");
    assert.equal(ready.status, 503);
    assert.deepEqual(ready.body, h.readiness);
  });

  test("metrics count requests by route template and status, never by path", async () => {
    await h.get("/api/v1/devices");
    await h.get("/api/v1/nothing/like/this");
    const text = await (await fetch(`${h.url}/metrics`)).text();
    assert.match(
      text,
      /sluice_http_request_seconds_count\{route="\/api\/v1\/devices",method="GET",status="200"\} 1/,
    );
    assert.match(text, /route="unmatched",method="GET",status="404"/);
    assert.doesNotMatch(text, /nothing/);
  });

  test("devices carry their latest values and metric names", async () => {
    await h.store.write({ rollups: [], alerts: [], devices: [aDevice(), aDevice({ device: "a0" })] });
    const { body } = await h.get("/api/v1/devices");
    assert.deepEqual(body, {
      devices: [
        { ...aDevice({ device: "a0" }), metrics: ["humidity", "temperature"] },
        { ...aDevice(), metrics: ["humidity", "temperature"] },
      ],
    });
  });

  test("rollups default to the last hour at 10s, the open window included", async () => {
    const start = Math.floor(Date.now() / 10_000) * 10_000;
    const rollups = [aRollup({ start }), aRollup({ start: start - 2 * 3_600_000 })];
    await h.store.write({ rollups, alerts: [], devices: [] });
    const { body } = await h.get("/api/v1/rollups?device=d1&metric=temperature");
    const { device: _d, metric: _m, resolution: _r, ...row } = rollups[0]!;
    assert.deepEqual((body as { rollups: unknown }).rollups, [row]);
  });

  test("rollups take epoch milliseconds and ISO times, half open, and say where to go on", async () => {
    const from = Date.parse("2024-11-23T08:00:00Z");
    const rollups = [0, 1, 2, 3].map((n) => aRollup({ start: from + n * 10_000 }));
    await h.store.write({ rollups, alerts: [], devices: [] });
    const query = "/api/v1/rollups?device=d1&metric=temperature&resolution=10s";
    const starts = async (rest: string) => {
      const { body } = await h.get(query + rest);
      const list = body as { rollups: { start: number }[]; truncated: boolean; nextFrom: number | null };
      return { starts: list.rollups.map((row) => row.start - from), ...list, rollups: undefined };
    };
    const iso = await starts("&from=2024-11-23T08:00:00Z&to=2024-11-23T09:00:20%2B01:00");
    assert.deepEqual(iso.starts, [0, 10_000]);
    assert.equal(iso.truncated, false);
    const cut = await starts(`&from=${from}&to=${from + 40_000}&limit=3`);
    assert.deepEqual(cut.starts, [0, 10_000, 20_000]);
    assert.equal(cut.truncated, true);
    assert.equal(cut.nextFrom, from + 30_000);
  });

  test("a bad parameter is a 400 that names it and what is allowed", async () => {
    const series = "device=d1&metric=temperature";
    const cases: [string, RegExp][] = [
      ["/api/v1/rollups?metric=t", /parameter "device" is required/],
      ["/api/v1/rollups?device=a/b&metric=t", /parameter "device" must be 1 to 128 of/],
      ["/api/v1/rollups?device=__proto__&metric=t", /parameter "device"/],
      [`/api/v1/rollups?${series}&device=d2`, /parameter "device" must be given once/],
      [
        `/api/v1/rollups?${series}&resolution=5s`,
        /parameter "resolution" must be one of 10s, 1m, 1h, 1d, not "5s"/,
      ],
      [`/api/v1/rollups?${series}&from=yesterday`, /parameter "from" must be epoch milliseconds or ISO/],
      [`/api/v1/rollups?${series}&from=2024-13-45`, /parameter "from"/],
      [`/api/v1/rollups?${series}&from=2000&to=1000`, /parameter "from" \(2000\) must be before "to"/],
      [`/api/v1/rollups?${series}&limit=0`, /parameter "limit" must be a whole number from 1 to 20000/],
      [`/api/v1/rollups?${series}&resoluton=1m`, /unknown parameter "resoluton"; allowed: device, metric,/],
      ["/api/v1/alerts?state=open", /parameter "state" must be one of firing, resolved, not "open"/],
      ["/api/v1/deadletters?limit=1.5", /parameter "limit"/],
      ["/api/v1/stream?events=stats,all", /parameter "events" must be a comma-separated list/],
    ];
    for (const [path, message] of cases) {
      const { status, body } = await h.get(path);
      assert.equal(status, 400, path);
      assert.equal((body as ErrorBody).error.code, "BAD_REQUEST");
      assert.match((body as ErrorBody).error.message, message);
    }
  });

  test("alerts are filtered by state and device", async () => {
    const firing = anAlert({ startedAt: 1_000 });
    const resolved = anAlert({ startedAt: 2_000, state: "resolved", resolvedAt: 2_500, device: "d2" });
    await h.store.write({ rollups: [], alerts: [firing, resolved], devices: [] });
    assert.deepEqual((await h.get("/api/v1/alerts")).body, { alerts: [resolved, firing] });
    assert.deepEqual((await h.get("/api/v1/alerts?state=firing")).body, { alerts: [firing] });
    assert.deepEqual((await h.get("/api/v1/alerts?device=d2&limit=5")).body, { alerts: [resolved] });
    assert.deepEqual((await h.get("/api/v1/alerts?device=d3")).body, { alerts: [] });
  });

  test("stats are every counter, flat, with the time; info has the MQTT port", async () => {
    h.stats.received = 12;
    const stats = (await h.get("/api/v1/stats")).body as Record<string, number>;
    assert.equal(stats.received, 12);
    assert.ok(Math.abs(stats.now! - Date.now()) < 60_000);
    const info = (await h.get("/api/v1/info")).body as { mqttPort: number; resolutions: unknown[] };
    assert.equal(info.mqttPort, 1883);
    assert.deepEqual(info.resolutions[0], { name: "10s", sizeMs: 10_000 });
  });

  test("the newest dead letters come first, over all partitions, text and binary apart", async () => {
    assert.deepEqual((await h.get("/api/v1/deadletters")).body, { deadLetters: [], unreadable: 0 });
    const letters = [1, 2, 3, 4, 5].map((n) => aDeadLetter({ ingestTs: n, detail: `letter ${n}` }));
    letters.push(aDeadLetter({ ingestTs: 6, reason: "not_utf8", raw: Buffer.from([0xff, 0xfe]) }));
    await appendDeadLetters(h.log, letters);
    await h.log.append(TOPICS.invalid, [{ value: Buffer.from("not one of ours"), timestamp: 7 }]);
    const { body } = await h.get("/api/v1/deadletters?limit=4");
    const list = body as { deadLetters: { ingestTs: number; text: string | null }[]; unreadable: number };
    assert.deepEqual(
      list.deadLetters.map((letter) => [letter.ingestTs, letter.text]),
      [
        [6, null],
        [5, '{"values":{'],
        [4, '{"values":{'],
        [3, '{"values":{'],
      ],
    );
    assert.equal(list.unreadable, 1);
  });

  test("a dead letter cut inside a character is still text", async () => {
    const raw = Buffer.from("é".repeat(10_000));
    await appendDeadLetters(h.log, [aDeadLetter({ raw: Buffer.concat([Buffer.from("x"), raw]) })]);
    const { body } = await h.get("/api/v1/deadletters");
    const [letter] = (body as { deadLetters: { text: string; payloadBytes: number }[] }).deadLetters;
    assert.equal(letter?.text, `x${"é".repeat(8_191)}`);
    assert.equal(letter?.payloadBytes, 20_001);
  });

  test("an unavailable store or log is a 503 with its code, and works again afterwards", async () => {
    h.store.down = true;
    h.log.down = true;
    for (const path of ["devices", "alerts", "rollups?device=d1&metric=t"]) {
      const { status, body, headers } = await h.get(`/api/v1/${path}`);
      assert.equal(status, 503);
      assert.equal((body as ErrorBody).error.code, "STORE_UNAVAILABLE");
      assert.equal(headers.get("retry-after"), "1");
    }
    const letters = await h.get("/api/v1/deadletters");
    assert.equal(letters.status, 503);
    assert.equal((letters.body as ErrorBody).error.code, "LOG_UNAVAILABLE");
    h.store.down = false;
    assert.equal((await h.get("/api/v1/devices")).status, 200);
  });

  test("an unexpected failure is a 500 that gives nothing away", async () => {
    h.store.devices = async () => {
      throw new Error("password=hunter2");
    };
    const { status, body } = await h.get("/api/v1/devices");
    assert.equal(status, 500);
    assert.equal((body as ErrorBody).error.code, "INTERNAL");
    assert.doesNotMatch(JSON.stringify(body), /hunter2/);
  });

  test("unknown paths are a 404 in JSON, other methods a 405, large bodies refused", async () => {
    for (const path of ["/api", "/api/v2/devices", "/api/v1/devices/d1", "/nope", "/"]) {
      const { status, body } = await h.get(path);
      assert.equal(status, 404, path);
      assert.equal((body as ErrorBody).error.code, "NOT_FOUND");
    }
    const post = await fetch(`${h.url}/api/v1/devices`, { method: "POST", body: "{}" });
    assert.equal(post.status, 405);
    assert.equal(post.headers.get("allow"), "GET, HEAD");
    const large = await fetch(`${h.url}/api/v1/devices`, { method: "POST", body: "x".repeat(70_000) });
    assert.ok([405, 413].includes(large.status));
  });

  test("every answer carries the secure headers, errors too", async () => {
    for (const path of ["/api/v1/stats", "/api/nope", "/api/v1/alerts?state=x"]) {
      const { headers } = await h.get(path);
      const csp = headers.get("content-security-policy")!;
      assert.match(csp, /default-src 'none'/);
      assert.match(csp, /script-src 'self'(;|$)/);
      assert.match(csp, /frame-ancestors 'none'/);
      assert.doesNotMatch(csp, /unsafe|https?:|\*/);
      assert.equal(headers.get("x-content-type-options"), "nosniff");
      assert.equal(headers.get("referrer-policy"), "no-referrer");
      assert.equal(headers.get("cache-control"), "no-store");
    }
  });

  test("a taken port is LISTEN_FAILED", async () => {
    await assert.rejects(startHarness({ port: h.api.port }), (error) => hasCode(error, "LISTEN_FAILED"));
  });
});

describe("page files", () => {
  let dir: string;
  let h: Harness;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), "sluice-page-"));
    await writeFile(join(dir, "index.html"), "<!doctype html><title>page</title>");
    await writeFile(join(dir, "secret.js"), "not served");
    h = await startHarness({ pageDir: dir });
  });
  after(async () => {
    await h.api.close();
    await rm(dir, { recursive: true });
  });

  test("the page is at / and always asked for again", async () => {
    const page = await fetch(`${h.url}/`);
    assert.equal(page.status, 200);
    assert.match(page.headers.get("content-type")!, /text\/html/);
    assert.equal(page.headers.get("cache-control"), "no-cache");
    assert.match(page.headers.get("content-security-policy")!, /script-src 'self'/);
  });

  test("nothing beside the page is served, and nothing above it", async () => {
    const paths = ["/secret.js", "/../package.json", "/assets/../secret.js", "/assets/..%2fsecret.js"];
    for (const path of [...paths, "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/%00"]) {
      const status = await rawStatus(h.api.port, path);
      assert.ok(status >= 400 && status < 500, `${path}: ${status}`);
    }
    assert.equal((await h.get("/api/nope")).status, 404);
  });
});

/** `fetch` would tidy the path up before sending it. */
function rawStatus(port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = request({ host: "127.0.0.1", port, path, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode!);
    });
    call.on("error", reject);
    call.end();
  });
}
