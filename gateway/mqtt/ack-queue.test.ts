import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { AckQueue } from "./ack-queue.js";

test("releases in order of arrival whatever the order of settling", () => {
  const orders = fc.integer({ min: 1, max: 12 }).chain((n) => {
    const ids = Array.from({ length: n }, (_, i) => i + 1);
    return fc.shuffledSubarray(ids, { minLength: n });
  });
  fc.assert(
    fc.property(orders, (order) => {
      const queue = new AckQueue();
      const released: number[] = [];
      const held = order.map((_, i) => queue.add(1, i + 1, () => released.push(i + 1)));
      for (const id of order) {
        queue.settle(held[id - 1]!);
        assert.deepEqual(
          released,
          released.map((_, i) => i + 1),
        );
      }
      assert.equal(released.length, order.length);
      assert.equal(queue.length, 0);
    }),
  );
});

test("a release may add and settle more", () => {
  const queue = new AckQueue();
  const released: number[] = [];
  const first = queue.add(1, 1, () => {
    released.push(1);
    queue.settle(queue.add(1, 3, () => released.push(3)));
  });
  queue.settle(queue.add(1, 2, () => released.push(2)));
  queue.settle(first);
  assert.deepEqual(released, [1, 2, 3]);
});

test("a QoS 2 re-send is released in a later turn than its first", async () => {
  const queue = new AckQueue();
  const released: string[] = [];
  const first = queue.add(2, 7, () => released.push("first"));
  const again = queue.add(2, 7, () => released.push("again"));
  const other = queue.add(2, 8, () => released.push("other"));
  for (const held of [other, first, again]) queue.settle(held);
  assert.deepEqual(released, ["first"]);
  await turn();
  assert.deepEqual(released, ["first", "again", "other"]);
});
