import assert from "node:assert/strict";
import { test } from "node:test";
import type { Alert } from "../../contracts/alert.js";
import { compileRule, ruleSchema } from "./rules.js";
import { SeriesAlert, type SeriesAlertSnapshot } from "./series-alert.js";

const SERIES = { device: "d1", metric: "temperature" };
const T0 = Date.UTC(2026, 0, 1);

function hot(more: object = {}) {
  const params = { above: 80, clearAbove: 75 };
  return compileRule(
    ruleSchema.parse({ name: "hot", detector: "range", params, severity: "critical", ...more }),
  );
}

/** Feeds [seconds, value] pairs; returns `second state` of every transition. */
function transitions(alert: SeriesAlert, readings: readonly (readonly [number, number])[]): string[] {
  return readings.flatMap(([second, value]) => {
    const changed = alert.step(T0 + second * 1_000, value);
    return changed ? [`${second} ${changed.state}`] : [];
  });
}

test("a threshold raises once, holds between the levels and clears below the clear level", () => {
  const readings = [
    [0, 70],
    [1, 81],
    [2, 90],
    [3, 78],
    [4, 82],
    [5, 75],
    [6, 79],
    [7, 81],
  ] as const;
  assert.deepEqual(transitions(new SeriesAlert(hot(), SERIES), readings), [
    "1 firing",
    "5 resolved",
    "7 firing",
  ]);
});

test("an alert says what happened, and keeps its id until it is resolved", () => {
  const alert = new SeriesAlert(hot(), SERIES);
  const firing = alert.step(T0, 95.25) as Alert;
  const resolved = alert.step(T0 + 60_000, 60) as Alert;
  assert.equal(firing.summary, "temperature of d1 is 95.25, above its limit of 80");
  assert.deepEqual(
    [firing.startedAt, firing.severity, firing.value, firing.upper],
    [T0, "critical", 95.25, 80],
  );
  assert.deepEqual([resolved.id, resolved.startedAt, resolved.resolvedAt], [firing.id, T0, T0 + 60_000]);
});

test("clearAfter keeps an alert until it has been quiet for so long in event time", () => {
  const readings = [
    [0, 81],
    [5, 60],
    [9, 82],
    [18, 60],
    [19, 60],
    [20, 60],
  ] as const;
  assert.deepEqual(transitions(new SeriesAlert(hot({ clearAfter: "10s" }), SERIES), readings), [
    "0 firing",
    "19 resolved",
  ]);
});

test("an older reading beyond the threshold still raises, but none from before the last transition", () => {
  assert.deepEqual(
    transitions(new SeriesAlert(hot(), SERIES), [
      [10, 70],
      [5, 99],
    ]),
    ["5 firing"],
  );
  assert.deepEqual(
    transitions(new SeriesAlert(hot(), SERIES), [
      [10, 99],
      [11, 60],
      [9, 99],
    ]),
    ["10 firing", "11 resolved"],
  );
});

test("an alert does not begin again at the instant it ended: its id would be that of the first", () => {
  const readings = [
    [0, 99],
    [0, 60],
    [0, 99],
    [1, 99],
  ] as const;
  assert.deepEqual(transitions(new SeriesAlert(hot(), SERIES), readings), [
    "0 firing",
    "0 resolved",
    "1 firing",
  ]);
});

test("a learned detector fires at what it never saw and resolves when it is quiet again", () => {
  const rule = compileRule(ruleSchema.parse({ name: "anomaly" }));
  const readings = Array.from(
    { length: 400 },
    (_, i) => [i, i === 300 ? 500 : 20 + Math.sin(i / 5)] as const,
  );
  assert.deepEqual(transitions(new SeriesAlert(rule, SERIES), readings), ["300 firing", "360 resolved"]);
});

test("a restart at any reading changes nothing", () => {
  const rule = compileRule(ruleSchema.parse({ name: "anomaly", clearAfter: "5s" }));
  const readings = Array.from(
    { length: 300 },
    (_, i) => [i, i % 97 === 96 ? 100 + i : 20 + (i % 7)] as const,
  );
  const expected = transitions(new SeriesAlert(rule, SERIES), readings);
  let alert = new SeriesAlert(rule, SERIES);
  const restarted = readings.flatMap((reading) => {
    const copy = structuredClone(alert.snapshot()) as SeriesAlertSnapshot;
    alert = new SeriesAlert(rule, SERIES, copy);
    return transitions(alert, [reading]);
  });
  assert.ok(expected.length >= 2);
  assert.deepEqual(restarted, expected);
});
