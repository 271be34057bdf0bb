import assert from "node:assert/strict";
import { test } from "node:test";
import { generate, type Packet } from "mqtt-packet";
import { checkPacket, isTopicName } from "./packets.js";

const check = (bytes: Buffer) => checkPacket(bytes, 0, bytes.length);
/** A packet of a type byte and a body shorter than 128 bytes. */
const packet = (first: number, ...body: (number | string | Buffer)[]) => {
  const rest = Buffer.concat(
    body.map((part) => (typeof part === "number" ? Buffer.from([part]) : Buffer.from(part))),
  );
  return Buffer.concat([Buffer.from([first, rest.length]), rest]);
};

test("packets of a client that keeps to the protocol may go on", () => {
  const publish = {
    cmd: "publish",
    topic: "a/ä",
    payload: "x".repeat(300),
    dup: false,
    retain: true,
  } as const;
  const packets: Packet[] = [
    { ...publish, qos: 0 },
    { ...publish, qos: 1, messageId: 65_535 },
    { ...publish, qos: 2, messageId: 1, dup: true },
    { cmd: "puback", messageId: 1 },
    { cmd: "pubrec", messageId: 1 },
    { cmd: "pubrel", messageId: 1 },
    { cmd: "pubcomp", messageId: 1 },
    {
      cmd: "subscribe",
      messageId: 1,
      subscriptions: [
        { topic: "#", qos: 1 },
        { topic: "a/+", qos: 0 },
      ],
    },
    { cmd: "unsubscribe", messageId: 1, unsubscriptions: ["a", "b/#"] },
    { cmd: "pingreq" },
    { cmd: "disconnect" },
  ];
  for (const each of packets) assert.equal(check(generate(each)), undefined, each.cmd);
});

test("what is malformed has its reason", () => {
  const cases: [Buffer, string][] = [
    [packet(0x36, 0, 1, "a", 0, 1), "malformed"], // QoS 3
    [packet(0x30, 0), "malformed"],
    [packet(0x30, 0, 9, "a"), "malformed"],
    [packet(0x32, 0, 1, "a", 0), "malformed"],
    [packet(0x32, 0, 1, "a", 0, 0), "bad_packet_id"],
    [packet(0x30, 0, 0), "bad_topic_name"],
    [packet(0x30, 0, 2, "a\0"), "bad_topic_name"],
    [packet(0x30, 0, 3, "a/#"), "bad_topic_name"],
    [packet(0x30, 0, 1, "+"), "bad_topic_name"],
    [packet(0x30, 0, 2, Buffer.from([0xc3, 0x28])), "bad_topic_name"],
    [packet(0x30, 0, 3, Buffer.from([0xed, 0xa0, 0x80])), "bad_topic_name"],
    [packet(0x30, 0, 100, "/".repeat(100)), "bad_topic_name"],
    [packet(0x40), "malformed"],
    [packet(0x40, 0, 0), "bad_packet_id"],
    [packet(0x60, 0, 1), "malformed"],
    [packet(0x82, 0, 1), "malformed"],
    [packet(0x80, 0, 1, 0, 1, "a", 0), "malformed"],
    [packet(0x82, 0, 1, 0, 1, "a"), "malformed"],
    [packet(0x82, 0, 1, 0, 2, "a\0", 0), "bad_topic_name"],
    [packet(0x82, 0, 0, 0, 1, "a", 0), "bad_packet_id"],
    [packet(0xa2, 0, 1), "malformed"],
    [packet(0xc0, 1), "malformed"],
    [packet(0xe1), "malformed"],
    [packet(0x20, 0, 0), "malformed"],
    [packet(0x00), "malformed"],
    [packet(0xf0), "malformed"],
    [packet(0x10, "xxxxxxxxxxxx"), "second_connect"],
  ];
  for (const [bytes, reason] of cases) assert.equal(check(bytes), reason, bytes.toString("hex"));
});

test("topic names", () => {
  for (const good of ["a", "/", "a//b", "ä/😀", Array(100).fill("x").join("/")])
    assert.ok(isTopicName(good), good);
  for (const bad of ["", "a\0", "a/#", "+", "\ufffd", Array(101).fill("x").join("/")])
    assert.ok(!isTopicName(bad), bad);
});
