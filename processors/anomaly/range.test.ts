import assert from "node:assert/strict";
import { test } from "node:test";
import { isCleared, isRaised, range } from "./range.js";
import { alarms } from "./testing.js";

test("alarms strictly outside the bounds, not on them", () => {
  assert.deepEqual(
    alarms(range.create(range.params.parse({ above: 30, below: 5 })), [5, 4.999, 30, 30.001, 17]),
    [1, 3],
  );
  assert.deepEqual(alarms(range.create(range.params.parse({ above: 30 })), [-1e308, 30, 31]), [2]);
  assert.deepEqual(alarms(range.create(range.params.parse({ below: 0 })), [-0, 0, -5e-324]), [2]);
});

test("between raise and clear levels an alert neither raises nor clears", () => {
  const p = range.params.parse({ above: 30, clearAbove: 27, below: 5, clearBelow: 8 });
  const answers = [31, 30, 28, 27, 8, 6, 5, 4].map((v) => [isRaised(p, v), isCleared(p, v)]);
  const [raised, held, cleared] = [
    [true, false],
    [false, false],
    [false, true],
  ];
  assert.deepEqual(answers, [raised, held, held, cleared, cleared, held, held, raised]);
});

test("without clear levels the raise levels clear", () => {
  const p = range.params.parse({ above: 30 });
  for (const value of [29, 30, 31]) assert.equal(isCleared(p, value), !isRaised(p, value));
});

test("refuses bounds that cannot work, naming the field", () => {
  const bad: [unknown, RegExp][] = [
    [{}, /above, below or both/],
    [{ above: 1, below: 2 }, /below must not exceed above/],
    [{ above: 1, clearAbove: 2 }, /clearAbove/],
    [{ above: 1, clearBelow: 0 }, /clearBelow/],
    [{ above: 10, clearAbove: 2, below: 0, clearBelow: 5 }, /nothing would ever clear/],
    [{ above: 1, over: 2 }, /over/],
  ];
  for (const [raw, message] of bad) assert.throws(() => range.params.parse(raw), message);
});
