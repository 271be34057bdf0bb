import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { partitionForKey } from "../../adapters/log/partitioner.js";
import type { Alert } from "../../contracts/alert.js";
import { hasCode } from "../../contracts/errors.js";
import { readingId } from "../../contracts/reading.js";
import { TOPICS } from "../../contracts/topics.js";
import { DEFAULT_RESOLUTIONS } from "../../contracts/window.js";
import { MemoryLog, MemoryLogData } from "../../testkit/memory-log.js";
import { checkRules, type Rule } from "../alerting/rules.js";
import { daysOf, evaluate, notificationsPerDay } from "./evaluate.js";
import { parseLabels } from "./labels.js";
import { backtest } from "./run.js";
import { ScoreCollector } from "./suggest.js";

const T0 = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const SPAN = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER };

function rules(...configs: object[]): Rule[] {
  return checkRules(configs, "rules").rules!;
}

const HOT = { name: "hot", detector: "range", params: { above: 80 } };

async function logOf(values: readonly number[], device = "d1") {
  const data = new MemoryLogData();
  const log = new MemoryLog(data, partitionForKey);
  await log.ensureTopics(Object.values(TOPICS).map((name) => ({ name, partitions: 1 })));
  const records = values.map((t, i) => {
    const body = { deviceId: device, ts: T0 + i * MINUTE, values: { t } };
    const reading = { v: 1, id: readingId(body, ""), ingestTs: body.ts, ...body };
    return { key: device, value: Buffer.from(JSON.stringify(reading)), timestamp: body.ts };
  });
  await log.append(TOPICS.readings, records);
  const ranges = (await log.ranges(TOPICS.readings)).map(({ partition, next }) => ({
    ...{ partition, from: 0, to: next },
  }));
  const run = (configs: readonly Rule[], more: object = {}) =>
    backtest({
      ...{ log, logger: pino({ level: "silent" }), rules: configs, ranges, ...SPAN },
      ...{ resolutions: DEFAULT_RESOLUTIONS, allowedLatenessMs: 10 * MINUTE, ...more },
    });
  return { data, run };
}

test("a backtest tells every alert that would have fired and writes nothing", async () => {
  const values = Array.from({ length: 2_880 }, (_, i) => (i === 100 || i === 2_000 ? 95 : 20));
  const { data, run } = await logOf(values);
  const { alerts, records, span } = await run(rules(HOT));
  assert.deepEqual(
    alerts.map(({ startedAt, resolvedAt, state }) => [startedAt - T0, resolvedAt! - T0, state]),
    [
      [100 * MINUTE, 101 * MINUTE, "resolved"],
      [2_000 * MINUTE, 2_001 * MINUTE, "resolved"],
    ],
  );
  assert.equal(records, 2_880);
  assert.equal(Math.round(daysOf(span!) * 100), 200);
  assert.deepEqual(notificationsPerDay(alerts), [
    { day: "2026-01-01", firing: 1, resolved: 1 },
    { day: "2026-01-02", firing: 1, resolved: 1 },
  ]);
  for (const topic of [TOPICS.alerts, TOPICS.rollups, TOPICS.late]) assert.deepEqual(data.records(topic), []);
  const second = await run(rules(HOT), { fromMs: T0 + 24 * HOUR });
  assert.deepEqual(
    second.alerts.map(({ id }) => id),
    [alerts[1]!.id],
  );
});

test("a silence at the end is told of when the end is given", async () => {
  const { run } = await logOf([20, 20]);
  const silent = rules({ name: "silent", detector: "silence", params: { after: "5m" } });
  assert.deepEqual((await run(silent)).alerts, []);
  const { alerts } = await run(silent, { nowMs: T0 + HOUR });
  assert.deepEqual(
    alerts.map(({ startedAt, state }) => [startedAt - T0, state]),
    [[6 * MINUTE, "firing"]],
  );
});

function alert(startedAt: number, resolvedAt?: number, metric = "t"): Alert {
  return {
    ...{ v: 1, id: String(startedAt), state: resolvedAt === undefined ? "firing" : "resolved" },
    ...{ rule: "r", severity: "info", device: "d", metric, startedAt, updatedAt: resolvedAt ?? startedAt },
    ...(resolvedAt === undefined ? {} : { resolvedAt }),
    ...{ value: 1, score: 1, detector: "range", threshold: 1, summary: "" },
  };
}

test("precision, recall, F1 and time to detect by overlap with the labels of a series", () => {
  const labels = parseLabels('{"d/t": [[100, 200], [500, 600], [900, 950]], "d/clean": []}', "labels.json");
  const alerts = [
    alert(150, 160), // finds the first, 50 late
    alert(170, 180), // right as well
    alert(300, 310), // false
    alert(450), // fires before the second, and still in it and the third
    alert(10, 20, "clean"), // false
    alert(10, 20, "other"), // not judged
  ];
  const result = evaluate(alerts, labels, { fromMs: 0, toMs: 1_000 });
  assert.deepEqual(result, {
    ...{ alerts: 6, judged: 5, right: 3, intervals: 3, found: 3, precision: 3 / 5, recall: 1 },
    ...{ f1: (2 * 0.6) / 1.6, timeToDetectMs: { median: 0, max: 50 } },
  });
  const early = evaluate(alerts.slice(0, 3), labels, { fromMs: 0, toMs: 400 });
  assert.deepEqual([early.intervals, early.found, early.recall], [1, 1, 1]);
  const none = evaluate([], parseLabels("{}", "f"), SPAN);
  assert.deepEqual([none.precision, none.recall, none.f1, none.timeToDetectMs], [null, null, null, null]);
});

test("labels are checked, times may be ISO, and intervals that overlap are one", () => {
  const labels = parseLabels(
    '{"d/t": [["2026-01-01 01:00", "2026-01-01T02:00Z"], [1767229200000, 1767236400000]]}',
    "f",
  );
  assert.deepEqual(labels.get("d/t"), [{ start: T0 + HOUR, end: T0 + 3 * HOUR }]);
  for (const [text, problem] of [
    ["[", /^f: /],
    ['{"d": []}', /d: must be device\/metric/],
    ['{"d/t": [[2, 1]]}', /d\/t\.0: ends before it starts/],
    ['{"d/t": [["soon", 1]]}', /d\/t\.0\.0: .*no time|d\/t\.0/],
  ] as const)
    assert.throws(
      () => parseLabels(text, "f"),
      (error) => hasCode(error, "CONFIG_INVALID") && problem.test(error.message),
    );
});

test("a suggested threshold keeps to the rate that is asked for, and is the least that does", async () => {
  const values = Array.from({ length: 4_000 }, (_, i) => {
    const jump = i % 200 === 199 ? (i / 200) * 2 : 0;
    return 20 + Math.sin(i) / 10 + jump;
  });
  const { run } = await logOf(values);
  const [rule] = rules({ name: "jump", detector: "rate-of-change", params: { perSecond: 0.05 } });
  const firing = async (threshold: number) =>
    (await run(rules({ name: "jump", detector: "rate-of-change", params: { perSecond: 0.05 }, threshold })))
      .alerts.length;
  const collector = new ScoreCollector(new Map(), SPAN.fromMs, SPAN.toMs);
  await run([collector.watching(rule!)]);
  const all = await firing(0.5);
  for (const wanted of [0, 3, 8]) {
    assert.ok(all > wanted);
    const { threshold, falseAlarms } = collector.suggest(rule!, wanted);
    assert.ok(falseAlarms <= wanted);
    assert.equal(await firing(threshold!), falseAlarms, `wanted ${wanted}: ${threshold}`);
    if (wanted > 0) assert.ok((await firing(threshold! - 0.02)) > wanted, `least for ${wanted}`);
  }
  const labelled = parseLabels(JSON.stringify({ "d1/t": [[T0, T0 + 4_000 * MINUTE]] }), "f");
  const none = new ScoreCollector(labelled, SPAN.fromMs, SPAN.toMs);
  await run([none.watching(rule!)]);
  assert.deepEqual(none.suggest(rule!, 0), { threshold: 0.5, falseAlarms: 0, leastThreshold: 0.5 });
  assert.throws(() => none.watching(rules(HOT)[0]!), /no distribution/);
});

test("scores are thinned where there are too many, and the thresholds left say so", async () => {
  const { run } = await logOf(Array.from({ length: 500 }, (_, i) => (i % 2 === 0 ? i : -i)));
  const [rule] = rules({ name: "jump", detector: "rate-of-change", params: { perSecond: 0.1 } });
  const collector = new ScoreCollector(new Map(), SPAN.fromMs, SPAN.toMs, 50);
  await run([collector.watching(rule!)]);
  const { leastThreshold, threshold, falseAlarms } = collector.suggest(rule!, 0.5);
  assert.ok(leastThreshold > 0.5);
  assert.ok(threshold === null || threshold >= leastThreshold);
  assert.ok(falseAlarms >= 0);
});
