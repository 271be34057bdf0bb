import assert from "node:assert/strict";
import { test } from "node:test";
import { Admission, type Waiting } from "./admission.js";

test("bounds messages and bytes, and lets a single packet in whatever its size", () => {
  const admission = new Admission({ maxInFlightMessages: 3, maxInFlightBytes: 100 });
  assert.ok(admission.tryEnter(500));
  assert.ok(!admission.tryEnter(1));
  admission.leave(500);
  assert.ok(admission.tryEnter(50));
  assert.ok(admission.tryEnter(50));
  assert.ok(!admission.tryEnter(1), "bytes");
  admission.leave(50);
  assert.ok(admission.tryEnter(1));
  assert.ok(admission.tryEnter(1));
  assert.ok(!admission.tryEnter(1), "messages");
  assert.deepEqual([admission.messages, admission.sizeBytes], [3, 52]);
});

test("who waits gets turns in order, and none is asked twice for one place", () => {
  const admission = new Admission({ maxInFlightMessages: 2, maxInFlightBytes: 1_000 });
  const order: string[] = [];
  const gates = ["a", "b", "c"].map((name): Waiting => {
    const gate = {
      roomAgain() {
        if (admission.tryEnter(1)) order.push(name);
        admission.wait(gate); // it always has more
      },
    };
    return gate;
  });
  assert.ok(admission.tryEnter(1));
  assert.ok(admission.tryEnter(1));
  for (const gate of gates) admission.wait(gate);
  for (let i = 0; i < 7; i++) admission.leave(1);
  assert.deepEqual(order, ["a", "b", "c", "a", "b", "c", "a"]);
  assert.equal(admission.messages, 2);
  admission.forget(gates[1]!);
  admission.leave(1);
  admission.leave(1);
  assert.deepEqual(order.slice(7), ["c", "a"]);
});

test("idle waits for the last to leave", async () => {
  const admission = new Admission({ maxInFlightMessages: 9, maxInFlightBytes: 9 });
  await admission.idle();
  admission.tryEnter(1);
  let idle = false;
  const waiting = admission.idle().then(() => {
    idle = true;
  });
  await Promise.resolve();
  assert.equal(idle, false);
  admission.leave(1);
  await waiting;
});
