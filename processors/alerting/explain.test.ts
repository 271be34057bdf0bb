import assert from "node:assert/strict";
import { test } from "node:test";
import type { Alert } from "../../contracts/alert.js";
import { DeviceAlerts } from "./device-alerts.js";
import { explain } from "./explain.js";
import { checkRules } from "./rules.js";

const T0 = Date.UTC(2026, 0, 1);
const SECOND = 1_000;

function device(...rules: object[]): DeviceAlerts {
  const checked = checkRules(rules, "rules");
  assert.equal(checked.problems, undefined);
  return new DeviceAlerts("pump-1", checked.rules!);
}

const HOT = { name: "hot", metric: "temperature", detector: "range", params: { above: 80 } };
const JUMP = { name: "jump", metric: "vibration", detector: "rate-of-change", params: { perSecond: 1 } };

test("an alert tells which other series moved, also those judged after it", () => {
  const alerts = device(HOT, JUMP);
  alerts.step(T0, { temperature: 70, vibration: 1 });
  const [hot] = alerts.step(T0 + SECOND, { temperature: 90, vibration: 1.7 });
  assert.deepEqual(hot!.related, [
    {
      ...{ metric: "vibration", rule: "jump", ts: T0 + SECOND, value: 1.7 },
      ...{ score: hot!.related![0]!.score, alarm: false },
    },
  ]);
  const [resolved] = alerts.step(T0 + 2 * SECOND, { temperature: 20 });
  assert.deepEqual(resolved!.related, hot!.related);
  const [later] = alerts.step(T0 + 600 * SECOND, { temperature: 90 });
  assert.equal(later!.related, undefined);
});

test("an explanation says what, why, when, what else and how often", () => {
  const alerts = device({ ...HOT, annotations: { runbook: "cool {{device}} down" }, for: "2s" }, JUMP);
  const all: Alert[] = [];
  const values = [70, 71, 90, 91, 92, 60, 70, 95, 96, 97];
  for (const [i, temperature] of values.entries())
    all.push(...alerts.step(T0 + i * SECOND, { temperature, vibration: i >= 8 ? 9 : 1 }));
  const text = explain(all.filter(({ rule }) => rule === "hot").at(-1)!).join("\n");
  for (const part of [
    "temperature of pump-1 is 97, above its limit of 80.",
    "fired at 2026-01-01 00:00:09, when it had held for 2 s",
    "rule:       hot, warning, version ",
    "against fixed limits (range)",
    "up to 80",
    "this rule fired once on this series before, last 2026-01-01 00:00:02",
    "2026-01-01 00:00:05            60",
    "<- fired here",
    "<- began here",
    "vibration read 9 at 2026-01-01 00:00:08: an alarm by jump",
    "runbook: cool pump-1 down",
  ])
    assert.ok(text.includes(part), `"${part}" in\n${text}`);
});

test("an alert of an older record, without its context, is explained as far as it goes", () => {
  const alert: Alert = {
    ...{ v: 1, id: "x", state: "firing", rule: "r", severity: "info", device: "d", metric: "m" },
    ...{
      startedAt: T0,
      updatedAt: T0,
      value: 1,
      score: 0.9,
      detector: "novelty",
      threshold: 0.5,
      summary: "s",
    },
  };
  assert.ok(explain(alert).join("\n").includes("not known"));
});

test("the alert of a rule that is removed ends with the next reading, and says why", () => {
  const alerts = device(HOT, JUMP);
  const [hot] = alerts.step(T0, { temperature: 90 });
  const after = new DeviceAlerts("pump-1", checkRules([JUMP], "rules").rules!, alerts.snapshot());
  const again = new DeviceAlerts("pump-1", checkRules([JUMP], "rules").rules!, after.snapshot());
  const [ended] = again.step(T0 + SECOND, { vibration: 1 });
  assert.deepEqual(
    [ended?.id, ended?.state, ended?.resolvedAt, ended?.endedBy],
    [hot!.id, "resolved", T0 + SECOND, "rule removed"],
  );
  assert.deepEqual(again.step(T0 + 2 * SECOND, { vibration: 1 }), []);
});

test("a changed rule takes over the alert that fires and what its detector has learned", () => {
  const alerts = device(HOT);
  const [hot] = alerts.step(T0, { temperature: 90 });
  const changed = { ...HOT, params: { above: 100 } };
  const after = new DeviceAlerts("pump-1", checkRules([changed], "rules").rules!, alerts.snapshot());
  const [ended] = after.step(T0 + SECOND, { temperature: 95 });
  assert.deepEqual([ended?.id, ended?.state], [hot!.id, "resolved"]);
});

test("values no detector can judge, single readings and constant series raise nothing", () => {
  const learned = ["novelty", "quantile", "drift", "spike", "rate-of-change"];
  const alerts = device(...learned.map((detector) => ({ name: detector, detector })), {
    name: "level",
    detector: "range",
    params: { above: 80 },
  });
  assert.deepEqual(
    alerts.step(T0, { once: 1e300 }).filter(({ rule }) => rule !== "level"),
    [],
  );
  for (let i = 0; i < 500; i++) {
    assert.deepEqual(alerts.step(T0 + i * SECOND, { constant: 7, bad: Number.NaN }), [], `reading ${i}`);
  }
});

test("a counter that wraps raises nothing where the rule says it is a counter", () => {
  const rule = (counter: boolean) => ({
    ...{ name: "rate", detector: "rate-of-change", params: { perSecond: 50, counter } },
  });
  const fired = (counter: boolean) => {
    const alerts = device(rule(counter));
    return Array.from({ length: 200 }, (_, i) =>
      alerts.step(T0 + i * SECOND, { packets: (i * 10) % 1_000 }),
    ).flat().length;
  };
  assert.equal(fired(true), 0);
  assert.ok(fired(false) > 0);
});

test("a metric that changes its unit is told of once, and is normal after a while", () => {
  const alerts = device({ name: "anomaly" });
  const celsius = (i: number) => 20 + 3 * Math.sin(i / 9) + ((i * 7) % 5) / 10;
  const records: Alert[] = [];
  for (let i = 0; i < 6_000; i++) {
    const value = i < 2_000 ? celsius(i) : 32 + 1.8 * celsius(i);
    records.push(...alerts.step(T0 + i * 60_000, { temperature: value }));
  }
  const after = records.filter(({ startedAt }) => startedAt >= T0 + 2_000 * 60_000);
  assert.equal(after[0]?.startedAt, T0 + 2_000 * 60_000);
  const last = records.at(-1)!;
  assert.equal(last.state, "resolved");
  assert.ok(last.resolvedAt! < T0 + 4_000 * 60_000, "quiet in the end");
});
