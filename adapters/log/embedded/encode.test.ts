import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hasCode } from "../../../contracts/errors.js";
import type { AppendRecord, LogRecord } from "../../../contracts/ports/log.js";
import { KeyCache, StoredBatch } from "./decode.js";
import { BatchMemory, encodeBatch, setBaseOffset } from "./encode.js";

const anyRecord: fc.Arbitrary<AppendRecord> = fc.record(
  {
    key: fc.oneof(fc.string(), fc.string({ unit: "grapheme" }), fc.constant("")),
    value: fc.uint8Array({ maxLength: 64 }),
    timestamp: fc.integer({ min: -1e15, max: 1e15 }),
    headers: fc.dictionary(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), { maxKeys: 3 }),
  },
  { requiredKeys: ["value", "timestamp"] },
);

/** What a record reads back as; a lone surrogate cannot be UTF-8 and becomes the replacement character. */
function expected(record: AppendRecord, offset: number): LogRecord {
  return {
    partition: 3,
    offset,
    timestamp: record.timestamp,
    key: record.key === undefined ? null : Buffer.from(record.key).toString(),
    value: Uint8Array.from(record.value),
    headers: { ...record.headers },
  };
}

function plain(record: LogRecord): LogRecord {
  return { ...record, value: Uint8Array.from(record.value), headers: { ...record.headers } };
}

test("what is encoded is decoded, whole or in part", () => {
  const memory = new BatchMemory();
  const keys = new KeyCache();
  fc.assert(
    fc.property(
      fc.array(anyRecord, { minLength: 1, maxLength: 30 }),
      fc.nat(40),
      fc.nat(40),
      (records, a, b) => {
        const batch = encodeBatch(records, memory);
        setBaseOffset(batch, 1000);
        const stored = new StoredBatch(Uint8Array.from(batch.bytes), "test");
        memory.giveBack(batch);
        const [from, to] = [1000 + Math.min(a, b), 1000 + Math.max(a, b)];
        const out: LogRecord[] = [];
        stored.decodeInto(out, 3, from, to, keys);
        const all = records.map((record, i) => expected(record, 1000 + i));
        assert.deepEqual(out.map(plain), all.slice(from - 1000, to - 1000));
        assert.equal(stored.maxTimestamp, Math.max(...records.map((record) => record.timestamp)));
      },
    ),
  );
});

test("any changed byte but the base offset is noticed", () => {
  const records = [
    { key: "a", value: Buffer.from("one"), timestamp: 1 },
    { value: Buffer.from("two"), timestamp: 2, headers: { h: "x" } },
  ];
  const { bytes } = encodeBatch(records, new BatchMemory());
  for (let i = 0; i < bytes.length; i++) {
    if (i >= 8 && i < 16) continue;
    const damaged = Uint8Array.from(bytes);
    damaged[i]! ^= 0x10;
    assert.throws(
      () => new StoredBatch(damaged, "test"),
      (error) => hasCode(error, "LOG_CORRUPT"),
      `byte ${i}`,
    );
  }
});

test("more keys than the cache has room for, and keys that share a slot, come back right", () => {
  const keys = new KeyCache();
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 200_000; i++) {
      const bytes = Buffer.from(`device-${i}`);
      assert.equal(keys.get(bytes, 0, bytes.length, true), `device-${i}`);
    }
  }
});
