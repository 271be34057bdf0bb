import assert from "node:assert/strict";
import { test } from "node:test";
import type { Alert } from "../contracts/alert.js";
import type { AlertQuery } from "../contracts/ports/store.js";
import { renderReport } from "./report.js";
import { START, World } from "./testing/world.js";
import { AFTERMATH_MS, judgeAlerts } from "./verify-alerts.js";

const FROM = START + 40_000;
const TO = START + 50_000;

function alertAt(device: number, startedAt: number, metric = "temperature"): Alert {
  const rule = { rule: "r", severity: "warning", detector: "novelty", threshold: 0.5, summary: "s" } as const;
  const rest = { state: "firing", updatedAt: startedAt, value: 1, score: 0.9, ...rule } as const;
  return { v: 1, id: `${device}-${startedAt}`, device: `t-0000${device}`, metric, startedAt, ...rest };
}

/** Three devices over 100 s; a spike on the first, a drift on the second. */
function world(): World {
  const made = new World();
  const label = { metric: "temperature", from: FROM, to: TO, magnitude: 1 };
  made.ledger.header.anomalies = [
    { ...label, kind: "spike", device: 0 },
    { ...label, kind: "drift", device: 1 },
  ];
  return made;
}

function judge(alerts: readonly Alert[]) {
  const source = async ({ device }: AlertQuery) => alerts.filter((alert) => alert.device === device);
  return judgeAlerts(world().ledger, source);
}

test("an alert on the right series in time finds its anomaly; the first one counts for the time", async () => {
  const verdict = await judge([alertAt(0, FROM + 3_000), alertAt(0, FROM + 7_000)]);
  assert.deepEqual([verdict.labels, verdict.detected, verdict.alerts, verdict.falseAlerts], [2, 1, 2, 0]);
  assert.deepEqual([verdict.precision, verdict.recall, verdict.timeToDetect.max], [1, 0.5, 3_000]);
  assert.deepEqual(verdict.byKind, { spike: { labels: 1, detected: 1 }, drift: { labels: 1, detected: 0 } });
});

test("an alert too early, on another metric or on a healthy device is false", async () => {
  const verdict = await judge([
    alertAt(0, FROM - 1),
    alertAt(0, FROM, "humidity"),
    alertAt(2, FROM),
    alertAt(1, TO - 1),
  ]);
  assert.deepEqual([verdict.detected, verdict.falseAlerts, verdict.precision], [1, 3, 0.25]);
});

test("alerts of other devices and of other times are none of our business", async () => {
  const long = TO + AFTERMATH_MS;
  const verdict = await judge([
    alertAt(0, START - 3_600_000),
    alertAt(0, long + 3_600_000),
    alertAt(7, FROM),
  ]);
  assert.deepEqual([verdict.alerts, verdict.precision, verdict.recall], [0, undefined, 0]);
});

test("detection is part of the report, and not of the verdict", async () => {
  const made = world();
  const report = await made.verify(undefined, 300, async ({ device }) =>
    [alertAt(2, FROM)].filter((a) => a.device === device),
  );
  assert.equal(report.ok, true);
  assert.match(renderReport(report), /anomalies found +0 +of 2: spike 0\/1, drift 0\/1/);
  assert.match(renderReport(report), /precision +0\.0 % +1 of 1 alerts/);
});
