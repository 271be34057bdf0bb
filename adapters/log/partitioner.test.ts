import assert from "node:assert/strict";
import { test } from "node:test";
import { KeylessPartitions, murmur2, partitionForKey } from "./partitioner.js";

/** From the Java client's own UtilsTest.testMurmur2. */
const KNOWN: [string, number][] = [
  ["21", -973932308],
  ["foobar", -790332482],
  ["a-little-bit-long-string", -985981536],
  ["a-little-bit-longer-string", -1486304829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
  ["abc", 479470107],
];

test("murmur2 gives the known answers of Kafka's Java client", () => {
  for (const [text, expected] of KNOWN) assert.equal(murmur2(Buffer.from(text)), expected, text);
});

test("a key's partition is toPositive(murmur2(utf8)) modulo the partition count", () => {
  for (const [text, hash] of KNOWN) {
    for (const partitions of [1, 2, 3, 7, 64]) {
      assert.equal(
        partitionForKey(text, partitions),
        (hash & 0x7fffffff) % partitions,
        `${text}/${partitions}`,
      );
    }
  }
});

test("the fast path for ASCII and the path over bytes agree, whatever the length and the alphabet", () => {
  const letters = ["a", "Z", "7", "\u007f", "\u0080", "é", "漢", "😀", "\ud800"];
  for (let length = 0; length < 40; length++) {
    for (const [i, odd] of letters.entries()) {
      const text = `${"k".repeat(length)}${odd}${String(i)}`.slice(0, length + (length % 3));
      const expected = (murmur2(Buffer.from(text, "utf8")) & 0x7fffffff) % 1009;
      assert.equal(partitionForKey(text, 1009), expected, JSON.stringify(text));
    }
  }
});

test("keyless records take turns over the partitions, for each topic by itself", () => {
  const keyless = new KeylessPartitions();
  assert.deepEqual(
    [1, 2, 3, 4].map(() => keyless.next("a", 3)),
    [0, 1, 2, 0],
  );
  assert.equal(keyless.next("b", 3), 0);
  assert.equal(keyless.next("a", 1), 0);
});
