/**
 * What a new user does with `sluice up`, and what must then be there: real process, real clients, empty data folder.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { promisify } from "node:util";
import type { Alert } from "../../contracts/alert.js";
import type { DeadLetterRecord } from "../../contracts/dead-letter.js";
import { TOPICS } from "../../contracts/topics.js";
import {
  client,
  embeddedLog,
  publish,
  readings,
  rollups,
  settled,
  stats,
  total,
  windowsWith,
} from "./clients.js";
import { needs, until, Workspace } from "./harness.js";

const RULES = `
alerts:
  rules:
    - name: too-hot
      metric: temperature
      detector: range
      params: { above: 90 }
      severity: critical
`;

test("a reading sent with QoS 1 is in the rollups", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  const mqtt = await client(space, sluice);
  const ts = Math.floor((Date.now() - 60_000) / 10_000) * 10_000;
  await publish(mqtt, "d1", { ts, values: { temperature: 20 } });
  await publish(mqtt, "d1", { ts: ts + 1, values: { temperature: 23 } });
  const [window] = await windowsWith(sluice, 2, "d1", "temperature");
  const { p50, p95, p99, ...exact } = window!;
  const numbers = { count: 2, min: 20, max: 23, sum: 43, mean: 21.5, first: 20, last: 23, revision: 2 };
  assert.deepEqual(exact, { start: ts, ...numbers });
  for (const percentile of [p50, p95, p99]) assert.ok(percentile >= 20 && percentile <= 23);
  for (const [resolution, sizeMs] of [
    ["1m", 60_000],
    ["1h", 3_600_000],
    ["1d", 86_400_000],
  ] as const) {
    const [coarse] = await rollups(sluice, { device: "d1", metric: "temperature", resolution });
    assert.deepEqual([coarse?.start, coarse?.count, coarse?.sum], [Math.floor(ts / sizeMs) * sizeMs, 2, 43]);
  }
  const { devices } = await sluice.getJson<{ devices: { device: string; readings: number }[] }>(
    "/api/v1/devices",
  );
  assert.deepEqual(
    devices.map(({ device, readings }) => [device, readings]),
    [["d1", 2]],
  );
});

test("mosquitto_pub is all a device needs", async (t) => {
  if (!needs(t, "mosquitto_pub")) return;
  const space = Workspace.of(t);
  const sluice = await space.start();
  const { port } = new URL(sluice.mqttUrl);
  const message = JSON.stringify({ ts: Date.now(), values: { temperature: 21.5 } });
  const args = ["-h", "127.0.0.1", "-p", port, "-q", "1", "-t", "devices/d1/telemetry", "-m", message];
  await promisify(execFile)("mosquitto_pub", args);
  const [window] = await windowsWith(sluice, 1, "d1", "temperature");
  assert.deepEqual([window!.count, window!.last], [1, 21.5]);
});

test("a bad payload is counted by reason and shown by dlq", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  const mqtt = await client(space, sluice, { clientId: "thermometer" });
  await publish(mqtt, "d1", "{'ts': 1}");
  await publish(mqtt, "d1", '{"temperature": null}');
  const { received, readings, invalid, invalidByReason } = await stats(sluice);
  assert.deepEqual([received, readings, invalid], [2, 0, 2]);
  assert.deepEqual([invalidByReason.not_json, invalidByReason.bad_value], [1, 1]);

  const args = ["--data-dir", space.dataDir, "--json"];
  const list = await space.command(["dlq", "list", ...args]);
  assert.equal(list.code, 0, list.stderr);
  const { deadLetters } = JSON.parse(list.stdout) as { deadLetters: DeadLetterRecord[] };
  assert.deepEqual(deadLetters.map(({ reason }) => reason).sort(), ["bad_value", "not_json"]);
  const notJson = deadLetters.find(({ reason }) => reason === "not_json")!;
  assert.deepEqual([notJson.topic, notJson.clientId], ["devices/d1/telemetry", "thermometer"]);
  assert.equal(Buffer.from(notJson.payload, "base64").toString(), "{'ts': 1}");

  const show = await space.command(["dlq", "show", notJson.id, ...args]);
  assert.equal(show.code, 0, show.stderr);
  assert.deepEqual(JSON.parse(show.stdout), notJson);
  const filtered = await space.command(["dlq", "list", "--reason", "bad_value", ...args]);
  assert.equal((JSON.parse(filtered.stdout) as { deadLetters: unknown[] }).deadLetters.length, 1);
  const unknown = await space.command(["dlq", "show", "no-such-id", ...args]);
  assert.deepEqual([unknown.code, /no dead letter no-such-id/.test(unknown.stderr)], [1, true]);
});

test("kill -9 right after a PUBACK loses nothing", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  const log = await embeddedLog(space);
  const start = Math.floor((Date.now() - 3_600_000) / 10_000) * 10_000;
  const rounds = 10;
  for (let seq = 0; seq < rounds; seq++) {
    const mqtt = await client(space, sluice);
    await publish(mqtt, "d1", { ts: start + seq, seq, values: { round: seq } });
    await sluice.kill();
    assert.equal((await readings(log)).filter((reading) => reading.seq === seq).length, 1, `round ${seq}`);
    await sluice.start();
  }
  await settled(sluice, log);
  const windows = await windowsWith(sluice, rounds, "d1", "round");
  assert.deepEqual([windows.length, total(windows), windows[0]!.sum], [1, rounds, 45]);
});

test("a message sent again counts once, after a restart too", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  const log = await embeddedLog(space);
  const message = { ts: Date.now() - 60_000, seq: 1, values: { temperature: 20 } };
  const send = async () => publish(await client(space, sluice), "d1", message);
  for (let i = 0; i < 3; i++) await send();
  await sluice.kill();
  await sluice.start();
  for (let i = 0; i < 2; i++) await send();
  const { duplicates } = await settled(sluice, log);
  const windows = await rollups(sluice, { device: "d1", metric: "temperature" });
  assert.deepEqual([total(windows), windows[0]?.revision, duplicates], [1, 1, 4]);
});

test("QoS 2 and QoS 0 arrive as well", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  const mqtt = await client(space, sluice);
  const ts = Date.now();
  await publish(mqtt, "d2", { ts, values: { temperature: 20 } }, 2);
  await publish(mqtt, "d0", { ts, values: { temperature: 20 } }, 0);
  assert.equal(total(await windowsWith(sluice, 1, "d2", "temperature")), 1);
  assert.equal(total(await windowsWith(sluice, 1, "d0", "temperature")), 1);
});

test("a configured threshold raises and resolves an alert: API, MQTT, stream and topic agree", async (t) => {
  const space = Workspace.of(t);
  space.configure(RULES);
  const sluice = await space.start();
  const events = await openStream(space, `${sluice.httpUrl}/api/v1/stream?events=alert,rollups`);
  const published: Alert[] = [];
  const watcher = await client(space, sluice);
  watcher.on("message", (topic, payload) => {
    assert.equal(topic, "alerts/d1");
    published.push(JSON.parse(payload.toString()) as Alert);
  });
  await watcher.subscribeAsync("alerts/#", { qos: 1 });

  const mqtt = await client(space, sluice);
  const ts = Date.now() - 60_000;
  for (const [i, temperature] of [20, 95, 21].entries()) {
    await publish(mqtt, "d1", { ts: ts + i, seq: i, values: { temperature } });
  }
  const alert = await until("the resolved alert", async () => {
    const { alerts } = await sluice.getJson<{ alerts: Alert[] }>("/api/v1/alerts?state=resolved");
    return alerts[0];
  });
  const { rule, severity, device, metric, startedAt, resolvedAt } = alert;
  const expected = { rule: "too-hot", severity: "critical", device: "d1", metric: "temperature" };
  assert.deepEqual({ rule, severity, device, metric }, expected);
  assert.deepEqual([startedAt, resolvedAt], [ts + 1, ts + 2]);

  await until("both transitions over MQTT", () => published.length >= 2);
  assert.deepEqual(
    published.map(({ id, state, value }) => [id, state, value]),
    [
      [alert.id, "firing", 95],
      [alert.id, "resolved", 21],
    ],
  );
  const streamed = await until("both transitions in the stream", () => {
    const found = events
      .filter(({ event }) => event === "alert")
      .map(({ data }) => (data.alert as Alert).state);
    return found.length >= 2 ? found : undefined;
  });
  assert.deepEqual(streamed, ["firing", "resolved"]);
  await until("rollups in the stream", () => events.some(({ event }) => event === "rollups"));
  assert.equal(published.length, 2, "no transition is published twice");
});

test("health, metrics, the description of the API and the page answer", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  await publish(await client(space, sluice), "d1", { ts: Date.now(), values: { temperature: 20 } });
  await windowsWith(sluice, 1, "d1", "temperature");
  assert.equal((await sluice.fetch("/healthz")).status, 200);
  const ready = await sluice.getJson<{ checks: { name: string; ok: boolean }[] }>("/readyz");
  assert.ok(ready.checks.every(({ ok }) => ok));
  const names = ready.checks.map(({ name }) => name);
  for (const name of ["log", "store", "processor"]) assert.ok(names.includes(name), name);
  const metrics = await (await sluice.fetch("/metrics")).text();
  assert.match(metrics, /^sluice_gateway_readings_total 1$/m);
  assert.match(metrics, /^sluice_processor_\w+/m);
  const { paths } = await sluice.getJson<{ openapi: string; paths: object }>("/openapi.json");
  for (const path of ["/api/v1/rollups", "/api/v1/alerts", "/api/v1/stats"]) assert.ok(path in paths, path);
  assert.match(await (await sluice.fetch("/")).text(), /<html/i);
  const bad = await sluice.fetch("/api/v1/rollups?device=d1&metric=temperature&resolution=7s");
  assert.equal(bad.status, 400);
});

test("sluice topics tells what each topic holds, while Sluice runs", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  const mqtt = await client(space, sluice);
  for (let i = 0; i < 5; i++) await publish(mqtt, `d${i}`, { ts: Date.now(), values: { temperature: i } });
  await publish(mqtt, "d0", "nonsense");
  const { code, stdout, stderr } = await space.command(["topics", "--data-dir", space.dataDir, "--json"]);
  assert.equal(code, 0, stderr);
  const { topics } = JSON.parse(stdout) as {
    topics: { topic: string; partitions: { earliest: number; next: number }[] }[];
  };
  const records = (name: string) =>
    topics
      .find(({ topic }) => topic === name)!
      .partitions.reduce((sum, { earliest, next }) => sum + next - earliest, 0);
  assert.deepEqual(topics.map(({ topic }) => topic).sort(), Object.values(TOPICS).sort());
  assert.deepEqual([records(TOPICS.readings), records(TOPICS.invalid), records(TOPICS.late)], [5, 1, 0]);
});

test("exit codes: 0 done, 1 failed, 2 wrong usage; errors name the place and the remedy", async (t) => {
  const space = Workspace.of(t);
  const exit = async (...args: string[]) => space.command(args);
  for (const args of [["--help"], ["--version"], ["up", "--help"], ["config", "check"]]) {
    assert.equal((await exit(...args)).code, 0, args.join(" "));
  }
  for (const args of [["no-such-command"], ["up", "--no-such-flag"], ["dlq", "show"]]) {
    const { code, stdout, stderr } = await exit(...args);
    assert.deepEqual([code, stdout], [2, ""], args.join(" "));
    assert.match(stderr, /error: /);
  }
  space.configure("ingest:\n  maxPaylod: 1KiB\n");
  for (const args of [["config", "check"], ["up"], ["topics"]]) {
    const { code, stdout, stderr } = await exit(...args);
    assert.deepEqual([code, stdout], [1, ""], args.join(" "));
    assert.match(stderr, /maxPaylod/);
    assert.match(stderr, /maxPayload/, "the nearest known key is suggested");
  }
  space.configure(RULES.replace("above: 90", "abov: 90"));
  const rule = await exit("config", "check");
  assert.equal(rule.code, 1);
  assert.match(rule.stderr, /alerts\.rules\[0\].*params.*abov/);
});

test("a second sluice on the same data folder is refused by name, and disturbs nothing", async (t) => {
  const space = Workspace.of(t);
  const first = await space.start();
  const args = ["up", "--data-dir", space.dataDir, "--mqtt-port", "0", "--http-port", "0"];
  const second = await space.command(args);
  assert.deepEqual([second.code, second.stdout], [1, ""]);
  assert.match(second.stderr, /already has a subscriber .*process \d+/);
  await publish(await client(space, first), "d1", { ts: Date.now(), values: { temperature: 20 } });
  await windowsWith(first, 1, "d1", "temperature");
});

test("a port in use is an error that names it", async (t) => {
  const space = Workspace.of(t);
  const first = await space.start();
  const { port } = new URL(first.mqttUrl);
  const args = ["up", "--data-dir", `${space.dir}/other`, "--mqtt-port", port, "--http-port", "0"];
  const second = await space.command(args);
  assert.equal(second.code, 1);
  assert.match(second.stderr, new RegExp(port));
});

test("SIGTERM in the middle of load: everything acked is in the log and counts once", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  const mqtt = await client(space, sluice);
  const ts = Date.now() - 3_600_000;
  const acked: number[] = [];
  let seq = 0;
  const sending = new Set<Promise<void>>();
  const sendOne = () => {
    const mine = seq++;
    const sent = publish(mqtt, "d1", { ts: ts + mine, seq: mine, values: { temperature: 20 } })
      .then(() => void acked.push(mine))
      .catch(() => {}) // no ack: no promise
      .finally(() => sending.delete(sent));
    sending.add(sent);
  };
  // On and on, past the signal, until the connection ends.
  const load = (async () => {
    for (; mqtt.connected; await turn()) while (sending.size < 500) sendOne();
  })();
  await until("acks", () => acked.length >= 1_000);
  assert.equal(await sluice.stop(), 0, "a clean end");
  await load;
  await mqtt.endAsync(true);
  await Promise.all(sending);

  const log = await embeddedLog(space);
  const inLog = new Set((await readings(log)).map((reading) => reading.seq!));
  const lost = acked.filter((n) => !inLog.has(n));
  assert.deepEqual(lost, [], "acked and not in the log");
  await sluice.start();
  await settled(sluice, log);
  const windows = await rollups(sluice, { device: "d1", metric: "temperature" });
  assert.equal(total(windows), inLog.size);
});

interface StreamEvent {
  event: string;
  data: Record<string, unknown>;
}

/** Follows a stream of server-sent events until the workspace closes. */
async function openStream(space: Workspace, url: string): Promise<StreamEvent[]> {
  const stop = new AbortController();
  const response = await fetch(url, { signal: stop.signal });
  assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/);
  const events: StreamEvent[] = [];
  const reading = (async () => {
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      const blocks = (text + decoder.decode(chunk, { stream: true })).split("\n\n");
      text = blocks.pop()!;
      for (const block of blocks) {
        const [, event] = /^event: (.*)$/m.exec(block) ?? [];
        const [, data] = /^data: (.*)$/m.exec(block) ?? [];
        if (event && data) events.push({ event, data: JSON.parse(data) as Record<string, unknown> });
      }
    }
  })().catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
  });
  space.onClose(async () => {
    stop.abort();
    await reading;
  });
  return events;
}
