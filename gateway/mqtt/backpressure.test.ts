/** Bounds over real sockets: what is in flight, what is held, what is read, and that keep-alive works throughout. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { generate } from "mqtt-packet";
import { TOPICS } from "../../contracts/topics.js";
import { startHarness } from "./harness.js";
import { connectPacket, RawClient, until } from "./raw-client.js";

const TOPIC = "devices/d1/telemetry";
const reading = (seq: number, pad = "") =>
  JSON.stringify({ ts: 1_732_350_000_000, seq, values: { t: seq, pad } });
const ids = (n: number) => Array.from({ length: n }, (_, i) => i + 1);
const publish = (messageId: number, payload: string) =>
  generate({ cmd: "publish", topic: TOPIC, payload, qos: 1, dup: false, retain: false, messageId });

for (const how of ["in one burst", "trickled in"]) {
  test(`PINGREQ is answered at once while 200 acks are held, sent ${how}`, async (t) => {
    const { log, gateway, client } = await startHarness(t);
    const device = await client("c1", { keepalive: 60 });
    log.hold();
    const packets = ids(200).map((id) => publish(id, reading(id)));
    if (how === "in one burst") device.send(...packets);
    else {
      for (const packet of packets) {
        device.send(packet);
        await delay(1);
      }
    }
    await until(() => gateway.stats().heldBytes > 0, "packets to be held in the gate");
    device.send({ cmd: "pingreq" });
    await until(() => device.acks("pingresp").length === 1, "PINGRESP");
    assert.deepEqual(device.acks("puback"), []);
    assert.equal(gateway.stats().inFlight, 64, "the window of one client");
    log.release();
    await until(() => device.acks("puback").length === 200, "all PUBACKs");
    assert.deepEqual(device.acks("puback"), ids(200));
    assert.equal(log.records(TOPICS.readings).length, 200);
    const { inFlight, inFlightBytes, heldBytes } = gateway.stats();
    assert.deepEqual([inFlight, inFlightBytes, heldBytes], [0, 0, 0]);
  });
}

test("a socket is not read while too much is held, and read again later: nothing is lost", async (t) => {
  const { log, gateway, client } = await startHarness(t, { limits: { maxHeldBytesPerClient: 32 * 1024 } });
  const device = await client("c1");
  const other = await client("c2");
  log.hold();
  const total = 20_000;
  const pad = "x".repeat(500);
  let flushed = false;
  device.socket.write(Buffer.concat(ids(total).map((id) => publish(id, reading(id, pad)))), () => {
    flushed = true;
  });
  await until(() => gateway.stats().pausedConnections === 1, "the socket to be paused");
  await delay(100);
  assert.equal(flushed, false, "the client must feel the back-pressure");
  assert.ok(gateway.stats().heldBytes < 32 * 1024 + 2 * 65_536 + 1_000, `held ${gateway.stats().heldBytes}`);
  assert.deepEqual(device.acks("puback"), []);
  other.send({ cmd: "pingreq" });
  await until(() => other.acks("pingresp").length === 1, "another connection to be served");
  log.release();
  await until(() => device.acks("puback").length === total, "all PUBACKs");
  assert.deepEqual(device.acks("puback"), ids(total));
  assert.equal(log.records(TOPICS.readings).length, total);
  assert.equal(gateway.stats().pausedConnections, 0);
});

test("what is in flight in all is bounded, and every connection gets its turn", async (t) => {
  const { log, gateway, client } = await startHarness(t, { limits: { maxInFlightMessages: 10 } });
  const devices = await Promise.all(ids(5).map((n) => client(`c${n}`)));
  log.hold();
  for (const device of devices) device.send(...ids(20).map((id) => publish(id, reading(id))));
  await until(() => gateway.stats().inFlight === 10, "the window to be full");
  await delay(30);
  assert.equal(gateway.stats().inFlight, 10);
  log.release();
  await until(() => devices.every((device) => device.acks("puback").length === 20), "all PUBACKs");
  for (const device of devices) assert.deepEqual(device.acks("puback"), ids(20));
});

test("QoS 0 is bounded the same way and nothing of it is dropped", async (t) => {
  const { log, gateway, client } = await startHarness(t);
  const device = await client("c1");
  log.hold();
  for (const id of ids(500)) device.publish(0, TOPIC, reading(id), 0);
  await until(() => gateway.stats().heldBytes > 0, "packets to be held");
  assert.equal(gateway.stats().inFlight, 64);
  device.send({ cmd: "disconnect" });
  device.socket.end();
  await delay(30);
  log.release();
  await until(
    () => log.records(TOPICS.readings).length === 500,
    "all readings, also those read after the goodbye",
  );
  await until(() => gateway.stats().connections === 0, "the connection to be gone");
  const { received, readings, abandoned, qos0 } = gateway.stats();
  assert.deepEqual([received, readings, abandoned, qos0], [500, 500, 0, 500]);
});

test("a declared length of 100 MB closes the connection at once", async (t) => {
  const { gateway, client, open } = await startHarness(t);
  const device = await client("c1");
  device.send(Buffer.from([0x30, 0x80, 0xc2, 0xd7, 0x2f]));
  await until(() => device.closed, "the connection to be closed");
  assert.equal(gateway.stats().connectionsClosed.packet_too_large, 1);

  const stranger = await open();
  stranger.send(Buffer.concat([Buffer.from([0x10, 0xff, 0xff, 0x03]), Buffer.alloc(10)]));
  await until(() => stranger.closed, "a large CONNECT to be refused");
  assert.equal(gateway.stats().connectionsClosed.packet_too_large, 2);
});

test("a payload larger than a payload may be, but not larger than a packet, is a dead letter", async (t) => {
  const { log, gateway, client } = await startHarness(t, { limits: { maxPayloadBytes: 1_000 } });
  const device = await client("c1");
  const payload = "y".repeat(200_000);
  device.publish(1, TOPIC, payload);
  await until(() => device.acks("puback").length === 1, "the PUBACK");
  const [letter] = log.json<{ reason: string; payload: string; payloadBytes: number }>(TOPICS.invalid);
  assert.equal(letter?.reason, "too_large");
  assert.equal(letter?.payloadBytes, 200_000);
  assert.equal(Buffer.from(letter?.payload ?? "", "base64").toString(), "y".repeat(1_000));
  assert.equal(gateway.stats().invalidByReason.too_large, 1);
});

test("a silent client is closed after 1.5 times its keep-alive; one whose PINGREQs come is not", async (t) => {
  const { gateway, client } = await startHarness(t);
  const silent = await client("silent", { keepalive: 1 });
  const alive = await client("alive", { keepalive: 1 });
  const pinging = setInterval(() => alive.send({ cmd: "pingreq" }), 300);
  t.after(() => clearInterval(pinging));
  await until(() => silent.closed, "the silent client to be closed");
  assert.equal(gateway.stats().connectionsClosed.keepalive, 1);
  assert.equal(alive.closed, false);
});

test("keep-alive is suspended for a client we do not read from", async (t) => {
  const { log, gateway, client } = await startHarness(t, { limits: { maxHeldBytesPerClient: 1_000 } });
  const device = await client("c1", { keepalive: 1 });
  const witness = await client("witness", { keepalive: 1 });
  log.hold();
  device.send(...ids(300).map((id) => publish(id, reading(id))));
  await until(() => gateway.stats().pausedConnections === 1, "the socket to be paused");
  await until(() => witness.closed, "the witness's keep-alive to run out");
  await delay(1_200);
  assert.equal(device.closed, false);
  log.release();
  await until(() => device.acks("puback").length === 300, "all PUBACKs");
});

test("who does not say CONNECT in time, or says something else, is closed", async (t) => {
  const { gateway, open } = await startHarness(t, { limits: { connectTimeoutMs: 300 } });
  const [mute, rude] = [await open(), await open()];
  rude.send({ cmd: "pingreq" });
  await until(() => rude.closed, "the rude one to be closed");
  await until(() => mute.closed, "the mute one to be closed");
  const { connectionsClosed } = gateway.stats();
  assert.deepEqual([connectionsClosed.not_connect, connectionsClosed.connect_timeout], [1, 1]);
});

test("packets sent without waiting for the CONNACK are taken in order", async (t) => {
  const { log, open } = await startHarness(t);
  const device = await open();
  device.send(connectPacket("eager"), ...ids(150).map((id) => publish(id, reading(id))), { cmd: "pingreq" });
  await until(() => device.acks("puback").length === 150, "all PUBACKs");
  assert.equal(device.packets[0]?.cmd, "connack");
  assert.deepEqual(device.acks("puback"), ids(150));
  assert.deepEqual(
    log.json<{ seq: number }>(TOPICS.readings).map((record) => record.seq),
    ids(150),
  );
});

test("connections are bounded", async (t) => {
  const { gateway, client, open } = await startHarness(t, { limits: { maxConnections: 2 } });
  await client("c1");
  const second = await client("c2");
  const third = await open();
  await until(() => third.closed, "the third to be refused");
  assert.equal(gateway.stats().connectionsClosed.too_many_connections, 1);
  second.kill();
  await until(() => gateway.stats().connections === 1, "room again");
  await client("c4");
});

test("malformed packets close their own connection and nothing else", async (t) => {
  const { gateway, client } = await startHarness(t);
  const witness = await client("witness");
  const bad: [string, Buffer][] = [
    ["bad_topic_name", Buffer.from([0x30, 0x04, 0x00, 0x02, 0x61, 0x00])],
    ["bad_topic_name", Buffer.from([0x30, 0x04, 0x00, 0x02, 0xc3, 0x28])],
    ["bad_packet_id", Buffer.from([0x32, 0x05, 0x00, 0x01, 0x61, 0x00, 0x00])],
    ["malformed", Buffer.from([0x36, 0x05, 0x00, 0x01, 0x61, 0x00, 0x01])],
    ["second_connect", generate(connectPacket("again"))],
  ];
  for (const [reason, bytes] of bad) {
    const device = await client("bad");
    const before = gateway.stats().connectionsClosed[reason as "malformed"];
    device.send(bytes);
    await until(() => device.closed, reason);
    assert.equal(gateway.stats().connectionsClosed[reason as "malformed"], before + 1);
  }
  witness.send({ cmd: "pingreq" });
  await until(() => witness.acks("pingresp").length === 1, "the witness to be served");
});

test("a malformed packet right behind good ones closes the connection and nothing else", async (t) => {
  const { log, gateway, open } = await startHarness(t);
  const device = await open();
  const good = ids(20).map((id) => publish(id, reading(id)));
  // With the CONNECT in one segment, the broker still has the good ones to read when the bad one closes the gate.
  device.send(connectPacket("c1"), ...good, Buffer.from([0x36, 0x05, 0x00, 0x01, 0x61, 0x00, 0x01]));
  await until(() => device.closed, "the connection to be closed");
  const { inFlight, abandoned, readings } = gateway.stats();
  assert.deepEqual([inFlight, abandoned + readings], [0, 20]);
  assert.ok(device.acks("puback").length <= log.records(TOPICS.readings).length);
});

test("random bytes never take the gateway down", async (t) => {
  const { gateway, client } = await startHarness(t);
  const seeds = [
    generate(
      connectPacket("x", {
        username: "u",
        password: Buffer.from("p"),
        will: { topic: "w", payload: Buffer.from("x"), qos: 1 },
      }),
    ),
    generate(connectPacket("v5", { protocolVersion: 5, properties: { sessionExpiryInterval: 9 } })),
    generate({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a/#", qos: 2 }] }),
    publish(3, reading(3)),
    generate({ cmd: "pubrel", messageId: 3 }),
  ];
  let random = 12_345;
  const next = (below: number) => {
    random = (random * 1_103_515_245 + 12_345) % 2 ** 31;
    return random % below;
  };
  for (let round = 0; round < 150; round++) {
    const stranger = await RawClient.open(gateway.port);
    const bytes = Buffer.concat([
      ...(round % 2 ? [generate(connectPacket("fuzz"))] : []),
      ...seeds.map((s) => Buffer.from(s)),
    ]);
    for (let i = 0; i < 1 + next(4); i++) bytes[next(bytes.length)] = next(256);
    stranger.send(bytes);
    if (round % 3 === 0) {
      await delay(5);
      stranger.kill();
    } else {
      stranger.socket.end();
      await until(() => stranger.closed, "the connection to be closed");
    }
  }
  const device = await client("after");
  device.publish(1, TOPIC, reading(1));
  await until(() => device.acks("puback").length === 1, "the gateway to serve");
});

test("a subscriber that does not read does not stall the publishers", async (t) => {
  const { log, gateway, client } = await startHarness(t);
  const subscriber = await client("sub");
  subscriber.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "devices/#", qos: 0 }] });
  await until(() => subscriber.acks("suback").length === 1, "SUBACK");
  subscriber.socket.pause();
  const device = await client("c1");
  const total = 30_000;
  const pad = "x".repeat(1_000);
  device.send(...ids(total).map((id) => publish(id, reading(id, pad))));
  await until(() => device.acks("puback").length === total, "all PUBACKs");
  assert.equal(log.records(TOPICS.readings).length, total);
  assert.ok(gateway.stats().forwardDropped > 0);
  assert.equal(gateway.stats().connectionsClosed.broker_error, 0);
  subscriber.socket.resume();
  subscriber.send({ cmd: "pingreq" });
  await until(() => subscriber.acks("pingresp").length === 1, "the subscriber to be served again");
  const expected = total - gateway.stats().forwardDropped;
  await until(() => subscriber.acks("publish").length === expected, "every message that was not kept back");
});

test("a persistent session that does not read is closed, and finds its messages when it is back", async (t) => {
  const { gateway, client } = await startHarness(t);
  const subscriber = await client("sub", { clean: false });
  subscriber.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "news", qos: 1 }] });
  await until(() => subscriber.acks("suback").length === 1, "SUBACK");
  subscriber.socket.pause();
  const device = await client("c1");
  for (const id of ids(200)) device.publish(id, "news", Buffer.alloc(100_000, id));
  await until(() => device.acks("puback").length === 200, "all PUBACKs");
  await until(() => gateway.stats().connectionsClosed.slow_subscriber === 1, "the subscriber to be closed");
  subscriber.socket.destroy();
  const back = await client("sub", { clean: false });
  await until(() => new Set(back.acks("publish")).size === 200, "all messages");
});
