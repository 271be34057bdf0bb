import assert from "node:assert/strict";
import { test } from "node:test";
import type { Alert } from "../../contracts/alert.js";
import { RECENT_READINGS, RecentReadings } from "./recent-readings.js";
import { compileRule, type Rule, ruleSchema } from "./rules.js";
import { SeriesAlert, type SeriesAlertSnapshot } from "./series-alert.js";

const SERIES = { device: "d1", metric: "temperature" };
const T0 = Date.UTC(2026, 0, 1);

function hot(more: object = {}) {
  const params = { above: 80, clearAbove: 75 };
  return compileRule(
    ruleSchema.parse({ name: "hot", detector: "range", params, severity: "critical", ...more }),
  );
}

/** One rule on one series, with the readings that are kept of it. */
class Watched {
  readonly recent = new RecentReadings();
  alert: SeriesAlert;

  constructor(rule: Rule) {
    this.alert = new SeriesAlert(rule, SERIES);
  }

  step(second: number, value: number): Alert[] {
    const ts = T0 + second * 1_000;
    this.recent.add(ts, value);
    return this.alert.step(ts, value, this.recent);
  }
}

/** Feeds [seconds, value] pairs; returns `second state` of every change, and the interval of a corrected one. */
function transitions(watched: Watched, readings: readonly (readonly [number, number])[]): string[] {
  const second = (ts: number | undefined) => (ts === undefined ? "" : (ts - T0) / 1_000);
  return readings.flatMap(([at, value]) =>
    watched.step(at, value).map(({ state, startedAt, correctedStartedAt, resolvedAt, corrected }) => {
      if (corrected)
        return `${at} ${state} ${second(correctedStartedAt ?? startedAt)}..${second(resolvedAt)}`;
      return `${second(state === "firing" ? startedAt : resolvedAt)} ${state}`;
    }),
  );
}

/** [value, seconds] pairs as readings one second apart. */
function steps(...parts: [value: number, seconds: number][]): [number, number][] {
  return parts
    .flatMap(([value, seconds]) => Array<number>(seconds).fill(value))
    .map((value, second) => [second, value]);
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
  assert.deepEqual(transitions(new Watched(hot()), readings), ["1 firing", "5 resolved", "7 firing"]);
});

test("an alert says what happened, and keeps its id until it is resolved", () => {
  const alert = new Watched(hot());
  const firing = alert.step(0, 95.25)[0]!;
  const resolved = alert.step(60, 60)[0]!;
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
  assert.deepEqual(transitions(new Watched(hot({ clearAfter: "10s" })), readings), [
    "0 firing",
    "19 resolved",
  ]);
});

test("late readings put a range's alerts right", () => {
  const cases: [string, [number, number][], string[]][] = [
    [
      "an alarm that a known reading clears was an alert of its own",
      [
        [10, 70],
        [5, 99],
      ],
      ["5 firing", "10 resolved"],
    ],
    [
      "an alarm between the levels of a later reading fires",
      [
        [10, 78],
        [5, 99],
        [11, 70],
      ],
      ["5 firing", "11 resolved"],
    ],
    [
      "an earlier alarm moves the beginning of the active alert",
      [
        [1, 70],
        [10, 99],
        [8, 95],
        [7, 96],
        [9, 99],
        [20, 60],
      ],
      ["10 firing", "8 firing 8..", "7 firing 7..", "20 resolved"],
    ],
    [
      "but not past a reading that clears",
      [
        [8, 60],
        [10, 99],
        [5, 95],
        [20, 60],
      ],
      ["10 firing", "5 firing", "8 resolved", "20 resolved"],
    ],
    [
      "an earlier alarm moves the beginning of the alert that is over",
      [
        [10, 99],
        [11, 60],
        [9, 99],
      ],
      ["10 firing", "11 resolved", "9 resolved 9..11"],
    ],
    [
      "an alarm within the alert that is over changes nothing",
      [
        [10, 99],
        [14, 60],
        [12, 99],
      ],
      ["10 firing", "14 resolved"],
    ],
    [
      "a reading that clears ends the active alert at its own time",
      [
        [10, 99],
        [14, 78],
        [12, 60],
      ],
      ["10 firing", "12 resolved"],
    ],
    [
      "and the alert that is over earlier",
      [
        [10, 99],
        [14, 60],
        [12, 70],
        [13, 99],
      ],
      ["10 firing", "14 resolved", "12 resolved 10..12", "13 firing", "14 resolved"],
    ],
    [
      "nothing changes before the alert before the last",
      [
        [10, 99],
        [11, 60],
        [20, 99],
        [21, 60],
        [9, 99],
      ],
      ["10 firing", "11 resolved", "20 firing", "21 resolved"],
    ],
  ];
  for (const [what, readings, expected] of cases) {
    assert.deepEqual(transitions(new Watched(hot({ flapping: false })), readings), expected, what);
  }
});

test("a correction keeps the id and says that it is one", () => {
  const alert = new Watched(hot());
  const firing = alert.step(10, 99)[0]!;
  const corrected = alert.step(8, 95)[0]!;
  const resolved = alert.step(12, 60)[0]!;
  for (const { id, startedAt } of [corrected, resolved])
    assert.deepEqual([id, startedAt], [firing.id, T0 + 10_000]);
  assert.deepEqual([corrected.state, corrected.corrected], ["firing", true]);
  assert.deepEqual([resolved.state, resolved.corrected], ["resolved", undefined]);
  for (const record of [corrected, resolved]) assert.equal(record.correctedStartedAt, T0 + 8_000);
});

test("for keeps an alert pending until the condition has held so long, in event time", () => {
  const rule = () => hot({ for: "10s" });
  assert.deepEqual(transitions(new Watched(rule()), steps([81, 5], [60, 1], [81, 12], [60, 1])), [
    "6 firing",
    "18 resolved",
  ]);
  const alert = new Watched(rule());
  for (const second of [0, 9]) assert.deepEqual(alert.step(second, 99), []);
  const firing = alert.step(10, 99)[0]!;
  assert.deepEqual([firing.startedAt, firing.firedAt, firing.updatedAt], [T0, T0 + 10_000, T0 + 10_000]);
});

test("an alert that comes and goes is flapping from the nth on, and stays until it has been quiet", () => {
  const rule = hot({ flapping: { alerts: 3, within: "60s" } });
  const toggling = Array.from({ length: 20 }, (_, i): [number, number] => [i, i % 2 === 0 ? 99 : 60]);
  const watched = new Watched(rule);
  assert.deepEqual(transitions(watched, toggling), [
    ...["0 firing", "1 resolved", "2 firing", "3 resolved", "4 firing"],
  ]);
  assert.equal(watched.alert.active?.flapping, true);
  assert.deepEqual(
    transitions(watched, [
      [77, 60],
      [78, 60],
      [100, 99],
    ]),
    ["78 resolved", "100 firing"],
  );
  assert.equal(watched.alert.active?.flapping, undefined);
});

test("a clear level for the score keeps an alert between the two", () => {
  const params = { perSecond: 1 };
  const rule = compileRule(
    ruleSchema.parse({
      ...{ name: "fast", detector: "rate-of-change", params, threshold: 0.75 },
      ...{ clearThreshold: 0.5, clearAfter: "0s" },
    }),
  );
  // Scores: 4 a second is 0.8, 2 a second 0.67, 0.5 a second 0.33.
  const readings = [
    [0, 0],
    [1, 4],
    [2, 6],
    [3, 8],
    [4, 8.5],
    [5, 10.5],
  ] as const;
  assert.deepEqual(transitions(new Watched(rule), readings), ["1 firing", "4 resolved"]);
});

test("outside its active hours a rule raises nothing", () => {
  // T0 is a Thursday, 00:00 UTC.
  const rule = hot({ activeHours: { days: ["thu"], from: "00:01", to: "00:02" } });
  const readings = steps([99, 70], [60, 1], [99, 60]);
  assert.deepEqual(transitions(new Watched(rule), readings), ["60 firing", "70 resolved", "71 firing"]);
});

test("a record explains itself: version, labels, texts, readings, what came before", () => {
  const rule = hot({
    labels: { team: "plant" },
    annotations: { text: "{{device}} {{ metric }}: {{value}} over {{upper}}, expected {{expected}}" },
  });
  const alert = new Watched(rule);
  for (let second = 0; second < 30; second++) alert.step(second, 20 + second);
  const first = alert.step(30, 99)[0]!;
  assert.equal(first.ruleVersion, rule.version);
  assert.deepEqual(first.labels, { team: "plant" });
  assert.deepEqual(first.annotations, { text: "d1 temperature: 99 over 80, expected -" });
  assert.equal(first.readings!.length, RECENT_READINGS);
  assert.deepEqual(first.readings!.at(-1), [T0 + 30_000, 99]);
  assert.deepEqual(first.before, { count: 0 });
  alert.step(31, 20);
  assert.deepEqual(alert.step(32, 99)[0]!.before, { count: 1, lastStartedAt: T0 + 30_000 });
});

test("a record stays under 8 KB", () => {
  const names = Array.from({ length: 8 }, (_, i) => `${"n".repeat(63)}${i}`);
  const rule = hot({
    labels: Object.fromEntries(names.map((name) => [name, "x".repeat(64)])),
    annotations: Object.fromEntries(names.map((name) => [name, "{{device}} ".repeat(46)])),
  });
  const alert = new SeriesAlert(rule, { device: "d".repeat(128), metric: "m".repeat(128) });
  const recent = new RecentReadings();
  for (let i = 0; i < 30; i++) recent.add(T0 + i, 20 + Math.PI / 1e9);
  const [firing] = alert.step(T0 + 30, 99.12345678901234, recent);
  const related = Array.from({ length: 5 }, () => ({
    ...{ metric: "m".repeat(128), rule: "r".repeat(128), ts: T0, value: Math.PI, score: 1 / 3, alarm: true },
  }));
  assert.ok(JSON.stringify({ ...firing, related }).length < 8_192);
});

test("an alert does not begin again at the instant it ended: its id would be that of the first", () => {
  const readings = [
    [0, 99],
    [0, 60],
    [0, 99],
    [1, 99],
  ] as const;
  assert.deepEqual(transitions(new Watched(hot()), readings), ["0 firing", "0 resolved", "1 firing"]);
});

test("a learned detector fires at what it never saw and resolves when it is quiet again", () => {
  const rule = compileRule(ruleSchema.parse({ name: "anomaly" }));
  const readings = Array.from(
    { length: 400 },
    (_, i) => [i, i === 300 ? 500 : 20 + Math.sin(i / 5)] as const,
  );
  assert.deepEqual(transitions(new Watched(rule), readings), ["300 firing", "360 resolved"]);
});

test("a restart at any reading changes nothing", () => {
  const rule = compileRule(ruleSchema.parse({ name: "anomaly", clearAfter: "5s" }));
  const readings = Array.from(
    { length: 300 },
    (_, i) => [i, i % 97 === 96 ? 100 + i : 20 + (i % 7)] as const,
  );
  const expected = transitions(new Watched(rule), readings);
  const watched = new Watched(rule);
  const restarted = readings.flatMap((reading) => {
    const copy = structuredClone(watched.alert.snapshot()) as SeriesAlertSnapshot;
    watched.alert = new SeriesAlert(rule, SERIES, copy);
    return transitions(watched, [reading]);
  });
  assert.ok(expected.length >= 2);
  assert.deepEqual(restarted, expected);
});
