/** QoS 0, 1 and 2, re-sends, and what the broker does beside ingest, over real sockets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connectAsync } from "mqtt";
import type { DeadLetterRecord } from "../../contracts/dead-letter.js";
import type { ReadingRecord } from "../../contracts/reading.js";
import { TOPICS } from "../../contracts/topics.js";
import { unavailable } from "../test-log.js";
import { startHarness } from "./harness.js";
import { until } from "./raw-client.js";

const TOPIC = "devices/d1/telemetry";
const reading = (seq: number) => JSON.stringify({ ts: 1_732_350_000_000, seq, values: { t: 1 } });

test("mqtt.js publishes at each QoS", async (t) => {
  const { log, gateway } = await startHarness(t);
  const client = await connectAsync(`mqtt://127.0.0.1:${gateway.port}`, {
    clientId: "mqttjs",
    reconnectPeriod: 0,
  });
  t.after(() => client.endAsync(true));
  for (const qos of [0, 1, 2] as const) await client.publishAsync(TOPIC, reading(qos), { qos });
  await until(() => log.records(TOPICS.readings).length === 3, "three readings");
  assert.deepEqual(
    log.json<ReadingRecord>(TOPICS.readings).map((record) => record.seq),
    [0, 1, 2],
  );
  const { qos0, qos1, qos2, messages, received, readings } = gateway.stats();
  assert.deepEqual([qos0, qos1, qos2, messages, received, readings], [1, 1, 1, 3, 3, 3]);
});

test("QoS 2: no PUBREC before the append, and none for a re-send while the first is held", async (t) => {
  const { log, client } = await startHarness(t);
  const device = await client("c1");
  log.hold();
  device.publish(9, TOPIC, reading(1), 2);
  await until(() => log.holding === 1, "the append to start");
  device.publish(9, TOPIC, reading(1), 2, true);
  await delay(50);
  assert.deepEqual(device.acks("pubrec"), []);
  log.release();
  await until(() => device.acks("pubrec").length === 2, "both PUBRECs");
  device.send({ cmd: "pubrel", messageId: 9 });
  await until(() => device.acks("pubcomp").length === 1, "PUBCOMP");
  const stored = log.json<ReadingRecord>(TOPICS.readings);
  assert.equal(new Set(stored.map((record) => record.id)).size, 1, "one identity");
});

test("QoS 2: a subscriber gets a message once though it was re-sent", async (t) => {
  const { log, client } = await startHarness(t);
  const subscriber = await client("sub");
  subscriber.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "devices/#", qos: 0 }] });
  await until(() => subscriber.acks("suback").length === 1, "SUBACK");
  const device = await client("c1");
  log.hold();
  device.publish(9, TOPIC, reading(1), 2);
  device.publish(9, TOPIC, reading(1), 2, true);
  await until(() => log.holding === 1, "the append to start");
  log.release();
  await until(() => device.acks("pubrec").length === 2, "both PUBRECs");
  device.publish(9, TOPIC, reading(1), 2, true);
  await until(() => device.acks("pubrec").length === 3, "a third PUBREC");
  await delay(50);
  assert.equal(subscriber.acks("publish").length, 1);
});

test("QoS 2: after a failure, a re-send from a new connection is neither lost nor acked early", async (t) => {
  const { log, gateway, client } = await startHarness(t);
  const session = { clean: false };
  const first = await client("c1", session);
  log.failure = unavailable();
  first.publish(5, TOPIC, reading(1), 2);
  await until(() => gateway.stats().appendRetries > 0, "the append to fail");
  first.kill();
  const second = await client("c1", session);
  second.publish(5, TOPIC, reading(1), 2, true);
  await delay(100);
  assert.deepEqual(second.acks("pubrec"), []);
  log.failure = undefined;
  await until(() => second.acks("pubrec").length === 1, "PUBREC");
  second.send({ cmd: "pubrel", messageId: 5 });
  await until(() => second.acks("pubcomp").length === 1, "PUBCOMP");
  const stored = log.json<ReadingRecord>(TOPICS.readings);
  assert.equal(new Set(stored.map((record) => record.id)).size, 1);
  // The packet id is free again: what it carries next is another message.
  second.publish(5, TOPIC, reading(2), 2);
  await until(() => second.acks("pubrec").length === 2, "the next PUBREC");
  assert.equal(log.json<ReadingRecord>(TOPICS.readings).at(-1)?.seq, 2);
});

test("DUP re-sends of a reading without ts and seq count once", async (t) => {
  const { log, gateway, client } = await startHarness(t);
  const device = await client("c1");
  log.hold();
  device.publish(3, TOPIC, '{"t":1}');
  await until(() => log.holding === 1, "the append to start");
  device.kill();
  log.release();
  const again = await client("c1");
  again.publish(3, TOPIC, '{"t":1}', 1, true);
  await until(() => again.acks("puback").length === 1, "PUBACK");
  const stored = log.json<ReadingRecord>(TOPICS.readings);
  assert.equal(stored.length, 2);
  assert.equal(stored[0]?.id, stored[1]?.id);
  assert.equal(stored[0]?.ts, stored[1]?.ts);
  assert.equal(gateway.stats().dupFlagged, 1);
});

test("a client killed while its message is held: the log has it, and so do subscribers", async (t) => {
  const { log, gateway, client } = await startHarness(t);
  const subscriber = await client("sub");
  subscriber.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "#", qos: 0 }] });
  await until(() => subscriber.acks("suback").length === 1, "SUBACK");
  const device = await client("c1");
  log.hold();
  device.publish(3, TOPIC, reading(1));
  await until(() => log.holding === 1, "the append to start");
  device.kill();
  await until(() => gateway.stats().connections === 1, "the gate to notice");
  log.release();
  await until(() => log.records(TOPICS.readings).length === 1, "the reading");
  await until(() => subscriber.acks("publish").length === 1, "the subscriber's copy");
  assert.equal(gateway.stats().inFlight, 0);
});

test("wills: telemetry of the dead is ingested, dead letters included", async (t) => {
  const { log, gateway, client } = await startHarness(t);
  const will = (payload: string, topic = TOPIC) => ({
    will: { topic, payload: Buffer.from(payload), qos: 1 },
  });
  (await client("w1", will(reading(1)))).kill();
  await until(() => log.records(TOPICS.readings).length === 1, "the will as a reading");
  (await client("w2", will("broken"))).kill();
  await until(() => log.records(TOPICS.invalid).length === 1, "the will as a dead letter");
  assert.equal(log.json<DeadLetterRecord>(TOPICS.invalid)[0]?.clientId, "w2");
  (await client("w3", will("x", "alerts/d1"))).kill();
  await until(() => gateway.stats().forbidden === 1, "the forbidden will");
  const polite = await client("w4", will(reading(2)));
  polite.send({ cmd: "disconnect" });
  await until(() => polite.closed, "the goodbye");
  const { received, readings, invalid, inFlight } = gateway.stats();
  assert.deepEqual([received, readings, invalid, inFlight], [2, 1, 1, 0]);
});

test("a will with a wildcard or NUL in its topic is refused with the connection", async (t) => {
  const { gateway, open } = await startHarness(t);
  const { connectPacket } = await import("./raw-client.js");
  for (const topic of ["a/#", "a\0b"]) {
    const stranger = await open();
    stranger.send(connectPacket("x", { will: { topic, payload: Buffer.from("x"), qos: 0 } }));
    await until(() => stranger.closed, "the connection to be closed");
  }
  assert.equal(gateway.stats().connectionsClosed.bad_will, 2);
});

test("client ids __proto__ and constructor are ids like others", async (t) => {
  const { log, client } = await startHarness(t);
  for (const [i, id] of ["__proto__", "constructor", "toString"].entries()) {
    const device = await client(id, { clean: i === 1 });
    device.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "__proto__", qos: 1 }] });
    device.publish(2, TOPIC, reading(i));
    await until(() => device.acks("puback").length === 1, `PUBACK of ${id}`);
    device.kill();
  }
  assert.equal(log.records(TOPICS.readings).length, 3);
});

test("other topics are plain MQTT; reserved ones are acked and go nowhere", async (t) => {
  const { log, gateway, client } = await startHarness(t);
  const subscriber = await client("sub");
  const filters = ["#", "alerts/#", "$SYS/#"].map((topic) => ({ topic, qos: 0 as const }));
  subscriber.send({ cmd: "subscribe", messageId: 1, subscriptions: filters });
  await until(() => subscriber.acks("suback").length === 1, "SUBACK");
  const device = await client("c1");
  device.publish(1, "alerts/d1", "forged");
  device.publish(2, "$SYS/x", "forged");
  device.publish(3, "home/kitchen", "hello");
  await until(() => device.acks("puback").length === 3, "PUBACKs");
  const seen = () =>
    subscriber.packets.flatMap((p) => (p.cmd === "publish" ? [[p.topic, p.payload.toString()]] : []));
  await until(() => seen().some(([topic]) => topic === "home/kitchen"), "the plain message");
  assert.ok(!seen().some(([, payload]) => payload === "forged"));
  assert.deepEqual(
    [gateway.stats().forbidden, gateway.stats().passthrough, gateway.stats().received],
    [2, 1, 0],
  );
  assert.equal(log.topics.size, 0);
});

test("telemetry on topics that name no device is a dead letter and acked", async (t) => {
  const { log, gateway, client } = await startHarness(t);
  const device = await client("c1");
  device.publish(1, "devices/a b/telemetry", reading(1));
  device.publish(2, "devices/d1/status", "up");
  await until(() => device.acks("puback").length === 2, "PUBACKs");
  const letters = log.json<DeadLetterRecord>(TOPICS.invalid);
  assert.deepEqual(
    letters.map(({ reason, topic, deviceId }) => [reason, topic, deviceId]),
    [
      ["bad_device_id", "devices/a b/telemetry", undefined],
      ["bad_topic", "devices/d1/status", undefined],
    ],
  );
  assert.equal(log.records(TOPICS.invalid)[0]?.key, "c1");
  assert.deepEqual(gateway.stats().invalidByReason.bad_device_id, 1);
});

test("a slow subscriber's packets are not torn by PINGRESP", async (t) => {
  const { gateway, client } = await startHarness(t);
  const subscriber = await client("sub");
  subscriber.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "big", qos: 0 }] });
  await until(() => subscriber.acks("suback").length === 1, "SUBACK");
  const device = await client("c1");
  subscriber.socket.pause();
  for (let i = 1; i <= 40; i++) device.publish(i, "big", Buffer.alloc(100_000, i));
  for (let i = 0; i < 50; i++) {
    subscriber.send({ cmd: "pingreq" });
    await delay(2);
  }
  subscriber.socket.resume();
  await until(() => subscriber.acks("publish").length === 40, "all messages, whole");
  await until(() => subscriber.acks("pingresp").length === 50, "all PINGRESPs");
  const sizes = subscriber.packets.flatMap((p) => (p.cmd === "publish" ? [p.payload.length] : []));
  assert.deepEqual(new Set(sizes), new Set([100_000]));
  assert.equal(gateway.stats().passthrough, 40);
});

test("a persistent session gets what it missed, up to the bound", async (t) => {
  const { gateway, client } = await startHarness(t, { limits: { maxOfflineMessages: 3 } });
  const session = { clean: false };
  const subscriber = await client("sub", session);
  subscriber.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "news", qos: 1 }] });
  await until(() => subscriber.acks("suback").length === 1, "SUBACK");
  subscriber.kill();
  await until(() => gateway.stats().connections === 0, "the session to be away");
  const device = await client("c1");
  for (let i = 1; i <= 5; i++) device.publish(i, "news", `n${i}`);
  await until(() => device.acks("puback").length === 5, "PUBACKs");
  await until(() => gateway.stats().offlineDropped === 2, "two to be dropped");
  const back = await client("sub", session);
  await until(() => back.acks("publish").length === 3, "three messages");
  for (const messageId of back.acks("publish")) back.send({ cmd: "puback", messageId });
  await until(() => gateway.stats().offlineBytes === 0, "the queue to be empty");
});

test("retained messages are bounded in bytes", async (t) => {
  const { gateway, client } = await startHarness(t, { limits: { maxRetainedBytes: 1_000 } });
  const device = await client("c1");
  const retain = (messageId: number, topic: string, payload: string) =>
    device.send({ cmd: "publish", topic, payload, qos: 1, dup: false, retain: true, messageId });
  retain(1, "a", "x".repeat(400));
  retain(2, "b", "x".repeat(400));
  await until(
    () => device.acks("puback").length === 2 && gateway.stats().retainedRefused === 1,
    "one to be refused",
  );
  retain(3, "a", "");
  await until(() => gateway.stats().retainedBytes === 0, "room again");
});
