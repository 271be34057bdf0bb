/** INV-1 over real sockets: no ack before the record is durable, and acks in the order of the messages. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { SluiceError } from "../../contracts/errors.js";
import type { ReadingRecord } from "../../contracts/reading.js";
import { TOPICS } from "../../contracts/topics.js";
import { unavailable } from "../test-log.js";
import { startHarness } from "./harness.js";
import { connectPacket, until } from "./raw-client.js";

const TOPIC = "devices/d1/telemetry";
const reading = (seq: number) =>
  JSON.stringify({ ts: 1_732_350_000_000, seq, values: { temperature: 21.5 } });

test("a PUBACK goes out only after the append resolved", async (t) => {
  const { log, gateway, client } = await startHarness(t);
  const device = await client("c1");
  log.hold();
  device.publish(7, TOPIC, reading(1));
  await until(() => log.holding === 1, "the append to start");
  await delay(50);
  assert.deepEqual(device.acks("puback"), []);
  assert.equal(gateway.stats().inFlight, 1);
  log.release();
  await until(() => device.acks("puback").length === 1, "the PUBACK");
  assert.deepEqual(device.acks("puback"), [7]);
  const [record] = log.json<ReadingRecord>(TOPICS.readings);
  assert.equal(record?.deviceId, "d1");
  assert.equal(record?.seq, 1);
  assert.deepEqual(record?.values, { temperature: 21.5 });
  assert.equal(log.records(TOPICS.readings)[0]?.key, "d1");
  assert.equal(log.records(TOPICS.readings)[0]?.timestamp, record?.ingestTs);
});

test("acks keep the order of the messages when appends finish out of order", async (t) => {
  const { log, client } = await startHarness(t);
  const device = await client("c1");
  const append = log.append.bind(log);
  let releaseReadings = () => {};
  const gate = new Promise<void>((resolve) => {
    releaseReadings = resolve;
  });
  log.append = async (topic, records) => {
    if (topic === TOPICS.readings) await gate;
    return append(topic, records);
  };
  device.publish(1, TOPIC, reading(1));
  device.publish(2, TOPIC, "not json");
  device.publish(3, "some/other/topic", "plain");
  await until(() => log.records(TOPICS.invalid).length === 1, "the dead letter to be stored");
  await delay(30);
  assert.deepEqual(device.acks("puback"), []);
  releaseReadings();
  await until(() => device.acks("puback").length === 3, "all PUBACKs");
  assert.deepEqual(device.acks("puback"), [1, 2, 3]);
});

test("while the log is down nothing is acked; when it is back all is, in order and once", async (t) => {
  const { log, gateway, client } = await startHarness(t);
  const device = await client("c1");
  log.failure = unavailable();
  for (let id = 1; id <= 40; id++) device.publish(id, TOPIC, reading(id));
  await until(() => gateway.stats().appendRetries >= 2, "appends to be tried again");
  assert.deepEqual(device.acks("puback"), []);
  log.failure = undefined;
  await until(() => device.acks("puback").length === 40, "all PUBACKs");
  const ids = Array.from({ length: 40 }, (_, i) => i + 1);
  assert.deepEqual(device.acks("puback"), ids);
  assert.deepEqual(
    log.json<ReadingRecord>(TOPICS.readings).map((record) => record.seq),
    ids,
  );
  const { received, readings, invalid, refused } = gateway.stats();
  assert.deepEqual([received, readings, invalid, refused], [40, 40, 0, 0]);
});

test("a message the log refuses for good is not acked; what came behind it frees its place", async (t) => {
  const { log, gateway, client } = await startHarness(t);
  const device = await client("c1");
  const append = log.append.bind(log);
  log.append = async (topic, records) => {
    if (topic === TOPICS.readings) throw new SluiceError("LOG_RECORD_TOO_LARGE", "too large");
    await delay(20);
    return append(topic, records);
  };
  device.publish(1, TOPIC, reading(1));
  device.publish(2, TOPIC, "not json");
  await until(() => device.closed, "the connection to be closed");
  await until(() => gateway.stats().inFlight === 0, "nothing to be in flight");
  assert.deepEqual(device.acks("puback"), []);
  const { received, readings, invalid, refused, connectionsClosed } = gateway.stats();
  assert.deepEqual([received, readings, invalid, refused], [2, 0, 1, 1]);
  assert.equal(connectionsClosed.not_durable, 1);
});

test("a client that has shut its sending side still gets its acks", async (t) => {
  const { log, gateway, client } = await startHarness(t);
  const device = await client("c1");
  log.hold();
  device.publish(1, TOPIC, reading(1));
  device.publish(2, TOPIC, reading(2));
  device.socket.end();
  await until(() => gateway.stats().inFlight === 2, "both to be in flight");
  await delay(30);
  log.release();
  await until(() => device.closed, "the connection to be closed");
  assert.deepEqual(device.acks("puback"), [1, 2]);
});

test("CONNECT, messages and the end of the stream in one segment: the messages count", async (t) => {
  const { log, gateway, open } = await startHarness(t);
  const half = await open();
  half.send(connectPacket("c1"));
  half.publish(1, TOPIC, reading(1));
  half.publish(2, TOPIC, reading(2));
  half.socket.end();
  await until(() => half.closed, "the connection to be closed");
  assert.deepEqual(half.acks("puback"), [1, 2]);
  assert.equal(log.records(TOPICS.readings).length, 2);
  await until(() => gateway.stats().connections === 0, "the connection to be gone");
});
