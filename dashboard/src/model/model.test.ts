import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { aDevice, anAlert, aRollup } from "../../../api/testing/harness.js";
import { firingDevices, withAlerts } from "./alerts.js";
import { EMPTY_FLEET, viewFleet, withDevices } from "./fleet.js";
import { rateOf, type Sample, withSample } from "./rates.js";
import { Series } from "./series.js";
import { intervalOf, pickResolution } from "./time-range.js";

const RESOLUTIONS = [
  { name: "10s", sizeMs: 10_000 },
  { name: "1m", sizeMs: 60_000 },
  { name: "1h", sizeMs: 3_600_000 },
];
const HOUR_MS = 3_600_000;

const device = (name: string, over: object = {}) => ({
  ...aDevice({ device: name, ...over }),
  metrics: ["humidity", "temperature"],
});

describe("series", () => {
  const at = (start: number, mean: number, revision = 1) =>
    aRollup({ start: start * 10_000, mean, revision });

  test("keeps windows in time order whatever order they come in", () => {
    const series = new Series(10_000);
    series.upsert([at(3, 30), at(1, 10), at(2, 20), at(4, 40)]);
    const [times, , , means] = series.columns();
    assert.deepEqual(times, [10, 20, 30, 40]);
    assert.deepEqual(means, [10, 20, 30, 40]);
  });

  test("a higher revision replaces, an older or equal one does not", () => {
    const series = new Series(10_000);
    assert.equal(series.upsert([at(1, 10, 5)]), true);
    assert.equal(series.upsert([at(1, 9, 4)]), false);
    assert.equal(series.upsert([at(1, 11, 5)]), false);
    assert.equal(series.last()?.mean, 10);
    assert.equal(series.upsert([at(1, 12, 6)]), true);
    assert.equal(series.at(10_000)?.mean, 12);
    assert.equal(series.length, 1);
  });

  test("a hole breaks the line; a slow device's usual distance is no hole", () => {
    const series = new Series(10_000);
    series.upsert([at(1, 1), at(2, 2), at(3, 3), at(20, 4), at(21, 5)]);
    assert.deepEqual(series.columns()[3], [1, 2, 3, null, 4, 5]);
    const slow = new Series(10_000);
    slow.upsert([at(0, 1), at(6, 2), at(12, 3), at(18, 4)]);
    assert.deepEqual(slow.columns()[3], [1, 2, 3, 4]);
  });

  test("forgets what left the range", () => {
    const series = new Series(10_000);
    series.upsert([at(1, 1), at(2, 2), at(3, 3)]);
    series.trim(25_000);
    assert.deepEqual(series.columns()[0], [20, 30]);
  });
});

describe("fleet", () => {
  test("is in natural order, and never goes back to an older row", () => {
    let fleet = withDevices(EMPTY_FLEET, [device("d10"), device("d2", { readings: 5 })]);
    fleet = withDevices(fleet, [device("d1"), device("d2", { readings: 4, lastTs: 1 })]);
    assert.deepEqual(fleet.ids, ["d1", "d2", "d10"]);
    assert.equal(fleet.byId.get("d2")?.readings, 5);
    assert.equal(EMPTY_FLEET.byId.size, 0);
  });

  test("search looks at every word in ids and metrics; alerting devices come first", () => {
    const now = 1_000_000;
    const rows = ["a-1", "a-2", "b-1"].map((name) => device(name, { lastIngestTs: now }));
    const fleet = withDevices(EMPTY_FLEET, [...rows, device("b-2", { lastIngestTs: now - 60_000 })]);
    const firing = new Map([["b-1", "critical"]]);
    const ids = (search: string, filter: Parameters<typeof viewFleet>[2] = "all") =>
      viewFleet(fleet, search, filter, now, firing).ids;
    assert.deepEqual(ids(""), ["b-1", "a-1", "a-2", "b-2"]);
    assert.deepEqual(ids("A- temp"), ["a-1", "a-2"]);
    assert.deepEqual(ids("", "silent"), ["b-2"]);
    assert.deepEqual(ids("2", "online"), ["a-2"]);
    assert.deepEqual(viewFleet(fleet, "zzz", "all", now, firing).counts, {
      all: 4,
      alerting: 1,
      online: 2,
      silent: 1,
    });
  });
});

describe("alerts", () => {
  test("firing ones come first; a resolved one does not fire again", () => {
    const firing = anAlert({ startedAt: 1_000 });
    const resolved = { ...firing, state: "resolved" as const, updatedAt: 2_000, resolvedAt: 2_000 };
    const other = anAlert({ startedAt: 500, device: "d2", severity: "warning" });
    const newer = anAlert({ startedAt: 900, device: "d2", metric: "x" });
    const list = withAlerts([], [firing, other, newer]);
    assert.deepEqual(list, [firing, newer, other]);
    assert.deepEqual(withAlerts(withAlerts(list, [resolved]), [firing]), [newer, other, resolved]);
    assert.deepEqual([...firingDevices([resolved, other, newer])], [["d2", "critical"]]);
  });
});

describe("rates", () => {
  const samples = (...counts: number[]) =>
    counts.reduce<Sample[]>(
      (known, received, n) => withSample(known, { now: 1_000 * n, counters: { received } }),
      [],
    );

  test("are over the last five seconds", () => {
    assert.equal(rateOf(samples(5), "received"), undefined);
    assert.equal(rateOf(samples(0, 10), "received"), 10);
    assert.equal(rateOf(samples(0, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000), "received"), 0);
    assert.equal(rateOf(samples(0, 10), "unknown"), undefined);
  });

  test("start again when the gateway did", () => {
    assert.equal(samples(100, 200, 3).length, 1);
    assert.equal(rateOf(samples(100, 200, 3, 7), "received"), 4);
  });
});

describe("time range", () => {
  test("auto takes the finest resolution that can be drawn", () => {
    assert.equal(pickResolution("auto", HOUR_MS, RESOLUTIONS).name, "10s");
    assert.equal(pickResolution("auto", 24 * HOUR_MS, RESOLUTIONS).name, "1m");
    assert.equal(pickResolution("auto", 720 * HOUR_MS, RESOLUTIONS).name, "1h");
    assert.equal(pickResolution("auto", 1e6 * HOUR_MS, RESOLUTIONS).name, "1h");
  });

  test("a chosen resolution is kept unless the API would cut it", () => {
    assert.equal(pickResolution("1h", HOUR_MS, RESOLUTIONS).name, "1h");
    assert.equal(pickResolution("10s", 720 * HOUR_MS, RESOLUTIONS).name, "1h");
    assert.equal(pickResolution("3s", HOUR_MS, RESOLUTIONS).name, "10s");
  });

  test("a moving span follows the clock, a fixed one does not", () => {
    assert.deepEqual(intervalOf({ kind: "last", range: "15m" }, HOUR_MS), {
      from: HOUR_MS * 0.75,
      to: HOUR_MS,
    });
    assert.deepEqual(intervalOf({ kind: "fixed", from: 1, to: 2 }, HOUR_MS), { from: 1, to: 2 });
  });
});
