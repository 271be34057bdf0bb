/** The gateway as a whole: closing, alerts, metrics. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import { TOPICS } from "../contracts/topics.js";
import { systemClock } from "../runtime/clock.js";
import { Registry } from "../runtime/metrics.js";
import { startGateway } from "./main.js";
import { startHarness } from "./mqtt/harness.js";
import { until } from "./mqtt/raw-client.js";
import { TestLog, unavailable } from "./test-log.js";

const TOPIC = "devices/d1/telemetry";
const reading = (seq: number) => JSON.stringify({ ts: 1_732_350_000_000, seq, values: { t: 1 } });

test("close finishes the acks of what was received, then closes the connections", async (t) => {
  const { log, gateway, client } = await startHarness(t);
  const device = await client("c1");
  log.hold();
  for (let id = 1; id <= 100; id++) device.publish(id, TOPIC, reading(id));
  await until(() => gateway.stats().inFlight === 64 && gateway.stats().heldBytes > 0, "a full window");
  const closing = gateway.close();
  await delay(30);
  assert.equal(device.closed, false);
  log.release();
  await closing;
  await until(() => device.closed, "the connection to be closed");
  const acked = device.acks("puback");
  assert.ok(acked.length >= 64, `${acked.length} acks`);
  assert.equal(log.records(TOPICS.readings).length, acked.length, "acked is stored, stored is acked");
});

test("close with the log down gives up at the deadline: refused, and not acked", async (t) => {
  const { log, gateway, client } = await startHarness(t, { limits: { closeDeadlineMs: 100 } });
  const device = await client("c1");
  log.failure = unavailable();
  device.publish(1, TOPIC, '[{"t":1},{"t":2}]');
  await until(() => gateway.stats().appendRetries > 0, "the append to fail");
  await gateway.close();
  await until(() => device.closed, "the connection to be closed");
  assert.deepEqual(device.acks("puback"), []);
  const { received, readings, invalid, refused } = gateway.stats();
  assert.deepEqual([received, readings, invalid, refused], [2, 0, 0, 2]);
});

test("alerts of the log are published, from the end for a new group and from the commit afterwards", async (t) => {
  const log = new TestLog();
  const alert = (device: string, n: number) => ({
    value: Buffer.from(JSON.stringify({ v: 1, id: `a${n}`, device, state: "firing" })),
    timestamp: n,
  });
  await log.append(TOPICS.alerts, [alert("old", 0)]);
  const { gateway, client } = await startHarness(t, { log, publishAlerts: true });
  const subscriber = await client("sub");
  subscriber.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "alerts/+", qos: 1 }] });
  await until(() => subscriber.acks("suback").length === 1, "SUBACK");
  await log.append(TOPICS.alerts, [
    alert("d1", 1),
    { value: Buffer.from("junk"), timestamp: 2 },
    alert("d2", 3),
  ]);
  await until(() => subscriber.acks("publish").length === 2, "two alerts");
  const topics = subscriber.packets.flatMap((p) =>
    p.cmd === "publish" ? [[p.topic, JSON.parse(p.payload.toString()).id]] : [],
  );
  assert.deepEqual(topics, [
    ["alerts/d1", "a1"],
    ["alerts/d2", "a3"],
  ]);
  assert.equal(gateway.stats().alertsPublished, 2);
  assert.equal(await log.committed("sluice-mqtt-alerts", TOPICS.alerts), 4);
});

test("the metrics say what the snapshot says", async (t) => {
  const { gateway, registry, client } = await startHarness(t);
  const device = await client("c1");
  device.publish(1, TOPIC, '[{"t":1},{"t":null},{"t":2}]');
  device.publish(2, TOPIC, reading(1), 2);
  await until(() => device.acks("puback").length === 1 && device.acks("pubrec").length === 1, "acks");
  const text = await registry.metrics();
  const { received, readings, invalid, refused } = gateway.stats();
  assert.deepEqual([received, readings, invalid, refused], [4, 3, 1, 0]);
  for (const line of [
    "sluice_gateway_messages_total 2",
    "sluice_gateway_received_total 4",
    "sluice_gateway_readings_total 3",
    'sluice_gateway_invalid_total{reason="bad_value"} 1',
    'sluice_gateway_invalid_total{reason="empty"} 0',
    'sluice_gateway_qos_messages_total{qos="2"} 1',
    "sluice_gateway_inflight_messages 0",
    "sluice_gateway_connections 1",
    "sluice_gateway_publish_ack_seconds_count 2",
  ]) {
    assert.ok(text.split("\n").includes(line), line);
  }
});

test("a port in use is LISTEN_FAILED", async (t) => {
  const { gateway } = await startHarness(t);
  const second = startGateway({
    log: new TestLog(),
    clock: systemClock,
    logger: pino({ level: "silent" }),
    registry: new Registry(),
    mqtt: { host: "127.0.0.1", port: gateway.port },
    publishAlerts: false,
  });
  await assert.rejects(second, { code: "LISTEN_FAILED" });
});
