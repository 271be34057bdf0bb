import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { test } from "node:test";
import { hasCode } from "../contracts/errors.js";
import { checkOpenFiles, DEVICES_PER_ADDRESS, sourceAddress } from "./capacity.js";
import { Packets } from "./frames.js";
import type { Link } from "./link.js";
import { openLightLink } from "./link-light.js";

const CONNACK = Buffer.from([0x20, 2, 0, 0]);

/** A link to a server that is played by the test: what it got, and how the link ended. */
async function withServer(
  work: (
    server: Socket,
    link: Link,
    told: { up: Promise<void>; down: Promise<void>; errors: string[] },
  ) => Promise<void>,
  changes: { user?: string; keepaliveS?: number; connectTimeoutMs?: number } = {},
): Promise<void> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const accepted = once(server, "connection");
  const errors: string[] = [];
  let link!: Link;
  let down!: Promise<void>;
  const up = new Promise<void>((isUp) => {
    down = new Promise((isDown) => {
      const { user = "", keepaliveS = 30, connectTimeoutMs = 60_000 } = changes;
      link = openLightLink(
        { url: `mqtt://${user}127.0.0.1:${port}`, clientId: "d1", connectTimeoutMs, keepaliveS },
        { up: isUp, error: ({ message }) => errors.push(message), down: isDown },
      );
    });
  });
  const [socket] = (await accepted) as [Socket];
  socket.on("error", () => {}); // the link may cut the connection: that is what some tests are about
  try {
    await work(socket, link, { up, down, errors });
  } finally {
    link.destroy();
    socket.destroy();
    server.close();
    await once(server, "close");
  }
}

async function received(socket: Socket, bytes: number): Promise<Buffer> {
  let got = Buffer.alloc(0);
  while (got.length < bytes) got = Buffer.concat([got, ...((await once(socket, "data")) as [Buffer])]);
  return got;
}

test("packets on the wire are those of the standard, and answers may come byte by byte", () =>
  withServer(
    async (server, link, { up }) => {
      const connect = Buffer.from(
        "\x10\x17\x00\x04MQTT\x04\xc2\x00\x1e\x00\x02d1\x00\x03u:1\x00\x02pw",
        "latin1",
      );
      assert.deepEqual(await received(server, connect.length), connect);
      for (const byte of CONNACK) server.write(Buffer.from([byte]));
      await up;
      const payload = Buffer.alloc(200, "x");
      const acked = new Promise<void>((resolve) => link.publish("t", payload, 1, () => resolve()));
      const publish = Buffer.concat([Buffer.from([0x32, 205, 1, 0, 1, 0x74, 0, 1]), payload]);
      assert.deepEqual(await received(server, publish.length), publish);
      for (const byte of [0x40, 2, 0, 1]) server.write(Buffer.from([byte]));
      await acked;
      link.end(false);
      assert.deepEqual(await received(server, 2), Buffer.from([0xe0, 0]));
    },
    { user: "u%3A1:pw@" },
  ));

test("QoS 2 is settled by PUBCOMP, not by PUBREC", () =>
  withServer(async (server, link, { up }) => {
    server.write(CONNACK);
    await up;
    const order: string[] = [];
    const settled = new Promise<void>((resolve) => {
      link.publish("t", Buffer.from("x"), 2, () => {
        order.push("settled");
        resolve();
      });
    });
    server.write(Buffer.from([0x50, 2, 0, 1]));
    let got = Buffer.alloc(0);
    while (!got.includes(Buffer.from([0x62, 2, 0, 1]))) got = Buffer.concat([got, await received(server, 1)]);
    order.push("released");
    server.write(Buffer.from([0x70, 2, 0, 1]));
    await settled;
    assert.deepEqual(order, ["released", "settled"]);
  }));

for (const [what, answer, message] of [
  ["a refusal", [0x20, 2, 0, 5], /refused: code 5/],
  ["an ack nobody waits for", [...CONNACK, 0x40, 2, 0, 9], /packet 9/],
  ["a packet publishers do not get", [...CONNACK, 0x90, 3, 0, 1, 0], /type 9/],
  ["a packet beyond all measure", [0x20, 0xff, 0xff, 0xff, 0x7f], /a packet of/],
  ["a malformed length", [0x20, 0xff, 0xff, 0xff, 0xff, 1], /malformed packet length/],
] as const) {
  test(`${what} ends the link with an error`, () =>
    withServer(async (server, _link, { down, errors }) => {
      server.write(Buffer.from(answer));
      await down;
      assert.match(errors.join(), message);
    }));
}

test("a gateway that accepts and then says nothing is given up", () =>
  withServer(
    async (_server, _link, { down, errors }) => {
      await down;
      assert.match(errors.join(), /no CONNACK/);
    },
    { connectTimeoutMs: 20 },
  ));

test("an idle link pings, and is given up when nothing answers", () =>
  withServer(
    async (server, _link, { up, down, errors }) => {
      server.write(CONNACK);
      await up;
      let got = Buffer.alloc(0);
      while (!got.includes(Buffer.from([0xc0, 0]))) got = Buffer.concat([got, await received(server, 1)]);
      await down;
      assert.match(errors.join(), /no PINGRESP/);
    },
    { keepaliveS: 1 },
  ));

test("several packets in one chunk are told apart", () => {
  const bytes = Buffer.from([0x40, 2, 0, 1, 0xd0, 0, 0x40, 2, 1, 0]);
  const types = [...new Packets().push(bytes)].map(({ type, body }) => [type, [...body]]);
  assert.deepEqual(types, [
    [4, [0, 1]],
    [13, []],
    [4, [1, 0]],
  ]);
});

test("too few open files are told before the run, with what to change", () => {
  checkOpenFiles(900, 1_000);
  assert.throws(
    () => checkOpenFiles(1_000, 1_000),
    (error) => hasCode(error, "CONFIG_INVALID") && /ulimit/.test((error as Error).message),
  );
});

test("a loopback fleet takes another source address when the ports of one run out", () => {
  const loopback = "mqtt://127.0.0.1:1883";
  assert.equal(sourceAddress(loopback, DEVICES_PER_ADDRESS - 1), undefined);
  assert.equal(sourceAddress(loopback, DEVICES_PER_ADDRESS), "127.0.0.2");
  assert.equal(sourceAddress("mqtt://example.com", DEVICES_PER_ADDRESS), undefined);
});
