import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type ReadingRecord, readingId } from "../../contracts/reading.js";
import { type Rollup, rollupKey } from "../../contracts/rollup.js";
import { DEFAULT_RESOLUTIONS, type Resolution } from "../../contracts/window.js";
import { referenceRollups } from "../../testkit/reference-model.js";
import { seededRng } from "../../testkit/rng.js";
import { type Admission, DeviceWindows, type DeviceWindowsSnapshot } from "./device-windows.js";
import { shortId } from "./open-window.js";

const OPTIONS = { resolutions: DEFAULT_RESOLUTIONS, allowedLatenessMs: 600_000 };
const T0 = Date.UTC(2026, 0, 1);

function reading(ts: number, values: Record<string, number>, seq?: number): ReadingRecord {
  const body = { deviceId: "d1", ts, values, ...(seq === undefined ? {} : { seq }) };
  return { v: 1, id: readingId(body, ""), ingestTs: ts, ...body };
}

/** Feeds readings, flushing every `flushEvery`, and returns the last version of each rollup. */
function run(records: readonly ReadingRecord[], flushEvery = 7, roundTrip = false) {
  let windows = new DeviceWindows("d1", OPTIONS);
  const rollups = new Map<string, Rollup>();
  const closed = new Map<string, Rollup>();
  const admissions: Admission[] = [];
  const flush = () => {
    for (const change of windows.flush()) {
      rollups.set(rollupKey(change.rollup), change.rollup);
      if (change.closed) closed.set(rollupKey(change.rollup), change.rollup);
    }
    if (roundTrip) {
      const copy = structuredClone(windows.snapshot()) as DeviceWindowsSnapshot;
      windows = new DeviceWindows("d1", OPTIONS, copy);
    }
  };
  records.forEach((record, i) => {
    admissions.push(windows.add(record.ts, shortId(record.id), record.values, record.tsFrom === "gateway"));
    if ((i + 1) % flushEvery === 0) flush();
  });
  flush();
  return { rollups, closed, admissions };
}

function sortedRows(rollups: Map<string, Rollup>): Rollup[] {
  return [...rollups.values()].sort((a, b) => (rollupKey(a) < rollupKey(b) ? -1 : 1));
}

function withoutPercentiles({ p50: _p50, p95: _p95, p99: _p99, ...rest }: Rollup) {
  return rest;
}

function series(count: number, stepMs: number, seed: number): ReadingRecord[] {
  const rng = seededRng(seed);
  return Array.from({ length: count }, (_, i) =>
    reading(
      T0 + i * stepMs,
      { temperature: 20 + rng.next() * 5, ...(i % 3 === 0 ? { humidity: 0.1 * i } : {}) },
      i,
    ),
  );
}

test("one reading shows in all four resolutions", () => {
  const { rollups } = run([reading(T0 + 12_345, { temperature: 21.5 })]);
  const rows = sortedRows(rollups);
  assert.deepEqual(rows.map((row) => row.resolution).sort(), ["10s", "1d", "1h", "1m"]);
  for (const row of rows) {
    assert.deepEqual(
      [row.count, row.min, row.max, row.sum, row.mean, row.first, row.last, row.p50, row.p99, row.revision],
      [1, 21.5, 21.5, 21.5, 21.5, 21.5, 21.5, 21.5, 21.5, 1],
    );
  }
  assert.equal(rows.find((row) => row.resolution === "10s")!.start, T0 + 10_000);
});

test("rollups equal the reference model, bit for bit but for the percentiles' stated error", () => {
  for (const [count, stepMs] of [
    [500, 1_000],
    [3_000, 37_000],
    [400, 250],
  ] as const) {
    const records = series(count, stepMs, count);
    const rows = sortedRows(run(records).rollups);
    const wanted = referenceRollups(records, DEFAULT_RESOLUTIONS).sort((a, b) =>
      rollupKey(a) < rollupKey(b) ? -1 : 1,
    );
    assert.deepEqual(rows.map(withoutPercentiles), wanted.map(withoutPercentiles));
    rows.forEach((row, i) => {
      for (const p of ["p50", "p95", "p99"] as const) {
        assert.ok(
          Math.abs(row[p] - wanted[i]![p]) <= 0.009 * Math.abs(wanted[i]![p]),
          `${rollupKey(row)} ${p}`,
        );
      }
    });
  }
});

test("any arrival order within the allowed lateness gives the same bits (INV-4)", () => {
  const records = series(60, 10_000, 3);
  const expected = sortedRows(run(records).rollups);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 31 }), fc.integer({ min: 1, max: 20 }), (seed, flushEvery) => {
      const shuffled = seededRng(seed).shuffled(records);
      assert.deepEqual(sortedRows(run(shuffled, flushEvery).rollups), expected);
    }),
    { numRuns: 200 },
  );
});

test("bounded disorder over days gives the same bits, and a restart at any point changes nothing", () => {
  const records = series(4_000, 45_000, 9);
  const expected = sortedRows(run(records).rollups);
  for (const seed of [1, 2, 3]) {
    const rng = seededRng(seed);
    const jittered = records
      .map((record) => ({ record, at: record.ts + rng.next() * 590_000 }))
      .sort((a, b) => a.at - b.at)
      .map(({ record }) => record);
    assert.deepEqual(sortedRows(run(jittered, 11, seed === 3).rollups), expected);
  }
});

test("a repeat never counts, wherever it arrives (INV-3)", () => {
  const records = series(100, 5_000, 5);
  const rng = seededRng(6);
  const repeated = records.flatMap((record) => (rng.next() < 0.5 ? [record, record] : [record]));
  const { rollups, admissions } = run(repeated);
  assert.deepEqual(sortedRows(rollups), sortedRows(run(records).rollups));
  assert.equal(
    admissions.filter((admission) => admission === "duplicate").length,
    repeated.length - records.length,
  );
});

test("equal values at one time with different seq are two readings", () => {
  const { rollups } = run([reading(T0, { t: 1 }, 1), reading(T0, { t: 1 }, 2)]);
  assert.equal(sortedRows(rollups)[0]!.count, 2);
});

test("a re-send without device time is told by identity although its receive time moved", () => {
  const first: ReadingRecord = { ...reading(T0, { t: 1 }, 7), tsFrom: "gateway" };
  const again = { ...first, ts: T0 + 95_000, ingestTs: T0 + 95_000 };
  assert.deepEqual(run([first, again]).admissions, ["counted", "duplicate"]);
});

test("a re-send without device time is told long after its window is final, and the memory for it is bounded", () => {
  const untimed = (seq: number, ts: number): ReadingRecord => ({
    ...reading(ts, { t: seq }, seq),
    id: readingId({ deviceId: "d1", seq, values: { t: seq } }, ""),
    tsFrom: "gateway",
  });
  const day = 86_400_000;
  const first = Array.from({ length: 60 }, (_, seq) => untimed(seq, T0 + seq * 1_000));
  const again = first.map((record, seq) => ({ ...record, ts: T0 + day + seq * 1_000 }));
  const { admissions } = run([...first, untimed(60, T0 + day - 1), ...again]);
  assert.equal(admissions.filter((admission) => admission === "duplicate").length, 60);

  const windows = new DeviceWindows("d1", OPTIONS);
  for (let seq = 0; seq < 2_000; seq++) {
    const record = untimed(seq, T0 + seq * 60_000);
    windows.add(record.ts, shortId(record.id), record.values, true);
  }
  assert.equal(windows.snapshot().untimed.length, 256);
});

test("late within the allowed lateness corrects the window with the next revision; beyond it is late (INV-6)", () => {
  const onTime = [reading(T0, { t: 1 }), reading(T0 + 300_000, { t: 2 })];
  const before = run(onTime).rollups;
  const { rollups, admissions } = run([...onTime, reading(T0 + 1_000, { t: 5 })]);
  const key = rollupKey({ device: "d1", metric: "t", resolution: "10s", start: T0 });
  assert.equal(rollups.get(key)!.revision, before.get(key)!.revision + 1);
  assert.equal(rollups.get(key)!.last, 5);
  assert.equal(admissions[2], "counted");

  const edge = T0 + 10_000 + OPTIONS.allowedLatenessMs;
  assert.equal(
    run([reading(T0, { t: 1 }), reading(edge - 1, { t: 2 }), reading(T0 + 1, { t: 3 })]).admissions[2],
    "counted",
  );
  assert.equal(
    run([reading(T0, { t: 1 }), reading(edge, { t: 2 }), reading(T0 + 1, { t: 3 })]).admissions[2],
    "late",
  );
});

test("every window the watermark passed is handed out as closed exactly with its final value", () => {
  const records = series(2_000, 60_000, 8);
  for (const roundTrip of [false, true]) {
    const { rollups, closed } = run(records, 13, roundTrip);
    const watermark = records.at(-1)!.ts;
    const sizes = new Map(DEFAULT_RESOLUTIONS.map((r: Resolution) => [r.name, r.sizeMs]));
    const wanted = sortedRows(rollups).filter((row) => row.start + sizes.get(row.resolution)! <= watermark);
    assert.deepEqual(sortedRows(closed), wanted);
  }
});

test("extreme values keep every field finite", () => {
  const { rollups } = run(
    [1.7e308, 1.7e308, -1.7e308, 5e-324, 0].map((v, i) => reading(T0 + i * 4_000, { t: v })),
  );
  for (const row of rollups.values()) {
    for (const [field, value] of Object.entries(row))
      if (typeof value === "number") assert.ok(Number.isFinite(value), field);
  }
});
