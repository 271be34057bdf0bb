import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nextOffset, type RawMessage, toRecords } from "./fetch.js";

interface Shape {
  producer?: string;
  transactional?: boolean;
  control?: "abort" | "commit";
  lastOffsetDelta?: number;
}

function message(offset: number, shape: Shape = {}): RawMessage {
  const marker = Buffer.from([0, 0, 0, shape.control === "commit" ? 1 : 0]);
  return {
    offset: String(offset),
    timestamp: "1000",
    key: shape.control === undefined ? Buffer.from("k") : marker,
    value: Buffer.from(`v${offset}`),
    headers: {},
    isControlRecord: shape.control !== undefined,
    batchContext: {
      firstOffset: String(offset),
      lastOffsetDelta: shape.lastOffsetDelta ?? 0,
      producerId: shape.producer ?? "-1",
      inTransaction: shape.transactional ?? shape.producer !== undefined,
    },
  };
}

const offsets = (
  messages: RawMessage[],
  from = 0,
  aborted: { producerId: string; firstOffset: string }[] = [],
) => toRecords(0, messages, from, aborted).map((record) => record.offset);

describe("toRecords", () => {
  it("leaves out what lies before the wanted offset", () => {
    assert.deepEqual(offsets([message(4), message(5), message(6)], 5), [5, 6]);
  });

  it("leaves out control records", () => {
    assert.deepEqual(
      offsets([message(0, { producer: "1" }), message(1, { producer: "1", control: "commit" })]),
      [0],
    );
  });

  it("leaves out aborted transactions that interleave, from a list in any order", () => {
    const messages = [
      message(0, { producer: "1" }),
      message(1, { producer: "2" }),
      message(2, { producer: "3" }),
      message(3, { producer: "1" }),
      message(4, { producer: "2", control: "abort" }),
      message(5, { producer: "1", control: "abort" }),
      message(6, { producer: "2" }),
      message(7, { producer: "3", control: "commit" }),
      message(8, { producer: "2", control: "commit" }),
      message(9),
    ];
    const aborted = [
      { producerId: "2", firstOffset: "1" },
      { producerId: "1", firstOffset: "0" },
    ];
    assert.deepEqual(offsets(messages, 0, aborted), [2, 6, 9]);
    assert.deepEqual(offsets(messages, 0, aborted.reverse()), [2, 6, 9]);
  });

  it("leaves out the rest of a transaction that was aborted, when reading begins inside it", () => {
    const messages = [
      message(7, { producer: "1" }),
      message(8, { producer: "1", control: "abort" }),
      message(9),
    ];
    assert.deepEqual(offsets(messages, 7, [{ producerId: "1", firstOffset: "3" }]), [9]);
  });

  it("tells two aborted transactions of one producer from a committed one between them", () => {
    const messages = [
      message(0, { producer: "1" }),
      message(1, { producer: "1", control: "abort" }),
      message(2, { producer: "1" }),
      message(3, { producer: "1", control: "commit" }),
      message(4, { producer: "1" }),
      message(5, { producer: "1", control: "abort" }),
    ];
    const aborted = [
      { producerId: "1", firstOffset: "0" },
      { producerId: "1", firstOffset: "4" },
    ];
    assert.deepEqual(offsets(messages, 0, aborted), [2]);
  });

  it("takes missing values and repeated headers", () => {
    const odd = {
      ...message(0),
      key: null,
      value: null,
      headers: { a: [Buffer.from("1"), Buffer.from("2")], b: "x" },
    };
    const [record] = toRecords(3, [odd], 0, []);
    assert.deepEqual(record, {
      ...{ partition: 3, offset: 0, timestamp: 1000, key: null },
      ...{ value: new Uint8Array(0), headers: { a: "2", b: "x" } },
    });
  });
});

describe("nextOffset", () => {
  it("is past the end of the last batch, whose last records may be gone", () => {
    assert.equal(nextOffset([message(10, { lastOffsetDelta: 5 })], 8), 16);
  });

  it("does not go back, and stays when nothing came", () => {
    assert.equal(nextOffset([message(3)], 9), 9);
    assert.equal(nextOffset([], 9), 9);
  });
});
