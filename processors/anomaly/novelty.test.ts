import assert from "node:assert/strict";
import { test } from "node:test";
import { ALARM_SCORE } from "./detector.js";
import { novelty } from "./novelty.js";
import { alarms, seededNormal, seededUniform } from "./testing.js";

const MINUTES_5_MS = 300_000;
const PER_DAY = 288;
const create = (raw: object = {}) => novelty.create(novelty.params.parse(raw));

/** Days of a daily wave between 10 and 30 with noise, five minutes apart. */
function dailyWave(days: number, seed: number): number[] {
  const noise = seededNormal(seed);
  return Array.from(
    { length: days * PER_DAY },
    (_, i) => 20 + 10 * Math.sin((2 * Math.PI * i) / PER_DAY) + 0.5 * noise(),
  );
}

test("alarms at a value never seen, once", () => {
  const values = dailyWave(10, 1);
  values[2000] = 55;
  // The first day is all new: the first way down may be an alarm too.
  assert.deepEqual(
    alarms(create(), values, MINUTES_5_MS).filter((i) => i >= PER_DAY),
    [2000],
  );
});

test("a new level alarms at its onset and becomes normal", () => {
  const values = dailyWave(20, 2).map((value, i) => (i < 2500 ? value : value + 60));
  const found = alarms(create(), values, MINUTES_5_MS);
  assert.equal(found[0], 2500);
  assert.ok(found.length <= 8, `${found.length} alarms`);
  assert.ok(found.at(-1)! < 2500 + 4 * PER_DAY, `still alarming at ${found.at(-1)}`);
});

test("a missed daily cycle alarms, though every value of it was seen before", () => {
  const values = dailyWave(14, 3);
  for (let i = 10 * PER_DAY; i < 11 * PER_DAY; i++) values[i] = 10.5;
  const found = alarms(create(), values, MINUTES_5_MS).filter((i) => i >= PER_DAY);
  assert.ok(found.length > 0 && found.every((i) => i >= 10 * PER_DAY && i < 11 * PER_DAY), found.join());
});

test("more noise than ever alarms within the range seen", () => {
  const noise = seededNormal(4);
  const values = Array.from({ length: 4000 }, (_, i) =>
    i % 200 === 0 ? 12 * (i % 400 === 0 ? 1 : -1) : noise() * (i >= 3000 ? 5 : 1),
  );
  const found = alarms(create(), values);
  assert.ok(
    found.some((i) => i >= 3000 && i < 3060),
    found.join(),
  );
});

test("at most one alarm in 1000 readings of plain noise", () => {
  for (const [name, next] of Object.entries({ normal: seededNormal(5), uniform: seededUniform(6) })) {
    const found = alarms(
      create(),
      Array.from({ length: 20_000 }, () => next()),
    );
    assert.ok(found.length <= 20, `${name}: ${found.length}`);
  }
});

test("scaling and shifting the series flips no alarm", () => {
  const noise = seededNormal(7);
  const values = dailyWave(20, 7).map(
    (value, i) => value + (i % 977 === 0 ? 8 * noise() : 0) + (i > 4000 ? 15 : 0),
  );
  const expected = alarms(create(), values, MINUTES_5_MS);
  assert.ok(expected.length > 3);
  for (const [scale, shift] of [
    [1.8, 32],
    [-1, 0],
    [1e-6, 0],
    [1e9, -5e9],
    [0.001, 7],
  ] as const) {
    const moved = values.map((value) => value * scale + shift);
    assert.deepEqual(alarms(create(), moved, MINUTES_5_MS), expected, `${scale} x + ${shift}`);
  }
});

test("one step of the sensor's resolution is not new, even after a long constant stretch", () => {
  const noise = seededNormal(8);
  const varied = Array.from({ length: 500 }, () => Math.round(40 + noise()) / 2);
  const top = Math.max(...varied);
  const values = [...varied, ...new Array(20_000).fill(top), top + 0.5, top];
  assert.deepEqual(
    alarms(create(), values).filter((i) => i >= 20_000),
    [],
  );
  const jump = [...varied, ...new Array(20_000).fill(top), top + 5];
  assert.deepEqual(
    alarms(create(), jump).filter((i) => i >= 20_000),
    [20_500],
  );
});

test("the first change of a constant series alarms", () => {
  assert.deepEqual(alarms(create(), [...new Array(300).fill(21), 21.5, 21.5, 21.5]), [300]);
});

test("holds its peace after an alarm, with a score that says how close it was", () => {
  const values = dailyWave(10, 9);
  for (const i of [2000, 2005, 2015]) values[i] = 100 + 50 * i;
  const detector = create();
  const at = values.map((value, i) => detector.step(i * MINUTES_5_MS, value).score);
  assert.ok(at[2000]! >= ALARM_SCORE);
  assert.deepEqual([at[2005], at[2015]], [0.49, 0.49]);
});

test("parameters are checked", () => {
  for (const raw of [{ radius: 0 }, { prototypes: 1.5 }, { spanReadings: 0 }, { sensitivity: 3 }]) {
    assert.throws(() => novelty.params.parse(raw));
  }
});
