import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { generate } from "mqtt-packet";
import { Framer } from "./framing.js";

const publish = (payload: Buffer) =>
  generate({ cmd: "publish", topic: "t", payload, qos: 0, dup: false, retain: false });

test("packets come out whole and in order wherever the stream is split", () => {
  const sizes = fc.array(fc.oneof(fc.nat(300), fc.constantFrom(120, 121, 16_377, 16_378, 20_000)), {
    maxLength: 6,
  });
  fc.assert(
    fc.property(sizes, fc.array(fc.nat(60_000), { maxLength: 30 }), (payloads, cuts) => {
      const packets = payloads.map((size, i) => publish(Buffer.alloc(size, i)));
      const stream = Buffer.concat([...packets, Buffer.from([0xc0, 0x00])]);
      const found: Buffer[] = [];
      const framer = new Framer(1_000_000);
      const places = [0, ...cuts.filter((cut) => cut < stream.length).sort((a, b) => a - b), stream.length];
      for (const [i, from] of places.slice(0, -1).entries()) {
        const chunk = Buffer.from(stream.subarray(from, places[i + 1]));
        const used = framer.push(chunk, (buffer, start, end) => {
          found.push(Buffer.from(buffer.subarray(start, end)));
          return true;
        });
        assert.equal(used, chunk.length);
      }
      assert.deepEqual(found, [...packets, Buffer.from([0xc0, 0x00])]);
    }),
  );
});

test("byte by byte", () => {
  const stream = Buffer.concat([publish(Buffer.alloc(200)), publish(Buffer.alloc(3))]);
  const found: number[] = [];
  const framer = new Framer(1_000);
  for (const byte of stream) {
    framer.push(Buffer.from([byte]), (_buffer, start, end) => {
      found.push(end - start);
      return true;
    });
  }
  assert.deepEqual(found, [206, 8]);
});

test("a packet over the limit is refused from its header; one at the limit is not", () => {
  const packet = publish(Buffer.alloc(200));
  assert.equal(
    new Framer(packet.length).push(packet, () => true),
    packet.length,
  );
  assert.equal(
    new Framer(packet.length - 1).push(packet, () => true),
    "packet_too_large",
  );
  const header = Buffer.from([0x30, 0x80, 0xc2, 0xd7, 0x2f]); // 100,000,000 bytes are said to follow
  assert.equal(
    new Framer(1 << 20).push(header, () => true),
    "packet_too_large",
  );
  const slow = new Framer(1 << 20);
  const results = [...header].map((byte) => slow.push(Buffer.from([byte]), () => true));
  assert.equal(results.at(-1), "packet_too_large");
});

test("a length of more than four bytes is malformed", () => {
  assert.equal(
    new Framer(1e9).push(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff]), () => true),
    "malformed",
  );
  const slow = new Framer(1e9);
  const results = [0x30, 0xff, 0xff, 0xff, 0xff].map((byte) => slow.push(Buffer.from([byte]), () => true));
  assert.equal(results.at(-1), "malformed");
});

test("the sink can stop: what was used is told, and the rest can be pushed again", () => {
  const [a, b] = [publish(Buffer.alloc(1)), publish(Buffer.alloc(2))];
  const stream = Buffer.concat([a, b]);
  const framer = new Framer(1_000);
  const head = framer.push(stream.subarray(0, 3), () => false);
  assert.equal(head, 3);
  const used = framer.push(stream.subarray(3), () => false) as number;
  assert.equal(3 + used, a.length);
  const found: number[] = [];
  framer.push(stream.subarray(3 + used), (_buffer, start, end) => {
    found.push(end - start);
    return true;
  });
  assert.deepEqual(found, [b.length]);
});
