import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Append, PartitionQueue, sizeOf } from "./queue.js";

function append(): Append {
  return { remaining: 1, failed: false, resolve: () => {}, reject: () => {} };
}

function push(queue: PartitionQueue, owner: Append, text: string, bytes = 1) {
  return queue.push(owner, { key: text, value: new Uint8Array(bytes), timestamp: 0 });
}

const keys = (records: { record: { key?: string } }[]) => records.map((one) => one.record.key);

describe("PartitionQueue", () => {
  it("has one slice in flight at a time, and keeps the order", () => {
    const queue = new PartitionQueue("t", 0);
    push(queue, append(), "a");
    push(queue, append(), "b");
    assert.deepEqual(keys(queue.take().records), ["a", "b"]);
    push(queue, append(), "c");
    assert.equal(queue.canSend, false);
    assert.throws(() => queue.take());
    queue.landed();
    assert.deepEqual(keys(queue.take().records), ["c"]);
    queue.landed();
    assert.equal(queue.isIdle, true);
  });

  it("bounds a slice by bytes and by records, and counts the bytes it takes", () => {
    const queue = new PartitionQueue("t", 0);
    let pushed = 0;
    for (let i = 0; i < 4; i++) pushed += push(queue, append(), String(i), 400_000);
    for (let i = 4; i < 2_000; i++) pushed += push(queue, append(), String(i));
    const sizes: number[] = [];
    let taken = 0;
    while (queue.canSend) {
      const slice = queue.take();
      sizes.push(slice.records.length);
      taken += slice.sizeBytes;
      queue.landed();
    }
    assert.equal(sizes[0], 2);
    assert.ok(Math.max(...sizes) <= 1_000);
    assert.equal(
      sizes.reduce((a, b) => a + b, 0),
      2_000,
    );
    assert.equal(taken, pushed);
  });

  it("sends a record above the bound of a slice alone", () => {
    const queue = new PartitionQueue("t", 0);
    push(queue, append(), "large", 3_000_000);
    push(queue, append(), "small");
    assert.deepEqual(keys(queue.take().records), ["large"]);
  });

  it("puts a slice back in front, and halves what it sends from then on", () => {
    const queue = new PartitionQueue("t", 0);
    for (const text of ["a", "b", "c", "d"]) push(queue, append(), text, 1_000);
    const slice = queue.take();
    push(queue, append(), "e", 1_000);
    queue.putBack(slice);
    assert.equal(queue.suspect, true);
    assert.deepEqual(keys(queue.take().records), ["a", "b"]);
    queue.landed();
    assert.equal(queue.suspect, false);
    assert.deepEqual(keys(queue.take().records), ["c", "d"]);
    queue.landed();
    assert.deepEqual(keys(queue.take().records), ["e"]);
  });

  it("cuts off a rejected append and all behind it, but nothing in flight", () => {
    const queue = new PartitionQueue("t", 0);
    const [sent, before, rejected, behind] = [append(), append(), append(), append()];
    push(queue, sent, "sent");
    queue.take();
    push(queue, before, "before");
    const removedBytes = push(queue, rejected, "rejected") + push(queue, behind, "behind");
    const cut = queue.cutFrom(new Set([sent, rejected]));
    assert.deepEqual([...cut.appends], [rejected, behind]);
    assert.equal(cut.sizeBytes, removedBytes);
    queue.landed();
    assert.deepEqual(keys(queue.take().records), ["before"]);
    push(queue, append(), "after");
    queue.cutAll();
    queue.landed();
    assert.equal(queue.isIdle, true);
  });
});

describe("sizeOf", () => {
  it("counts value, key and headers in bytes", () => {
    const bare = sizeOf({ value: new Uint8Array(100), timestamp: 0 });
    assert.ok(bare >= 100);
    assert.equal(sizeOf({ key: "é", value: new Uint8Array(100), timestamp: 0 }), bare + 2);
    assert.ok(sizeOf({ value: new Uint8Array(100), timestamp: 0, headers: { ab: "cd" } }) >= bare + 4);
  });
});
