import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeadLetterRecord } from "../contracts/dead-letter.js";
import type { LogRecord } from "../contracts/ports/log.js";
import type { RollupQuery } from "../contracts/ports/store.js";
import { type ReadingRecord, readingId } from "../contracts/reading.js";
import type { Rollup } from "../contracts/rollup.js";
import { TOPICS } from "../contracts/topics.js";
import { windowStart } from "../contracts/window.js";
import { systemClock } from "../runtime/clock.js";
import type { Stats } from "./baseline.js";
import { Ledger } from "./ledger.js";
import { namedValues } from "./message.js";
import { renderReport, reportJson } from "./report.js";
import { deviceScript } from "./script.js";
import { METRICS } from "./signals.js";
import { type VerifyReport, verifyLedger } from "./verify.js";
import type { ReadLog } from "./verify-log.js";

const START = 1_732_350_000_000;
const DEVICES = 3;

/** A log of two partitions that holds what a test puts there. */
class MemoryLog implements ReadLog {
  readonly topics = new Map<string, LogRecord[][]>();

  add(topic: string, partition: number, value: unknown): void {
    const partitions = this.topics.get(topic) ?? [[], []];
    this.topics.set(topic, partitions);
    const records = partitions[partition]!;
    const bytes = Buffer.from(JSON.stringify(value));
    records.push({ partition, offset: records.length, timestamp: 0, key: null, value: bytes, headers: {} });
  }

  async ranges(topic: string) {
    const partitions = this.topics.get(topic) ?? [[], []];
    return partitions.map((records, partition) => ({ partition, earliest: 0, next: records.length }));
  }

  async *read(topic: string, partition: number, from: number, { to }: { to?: number } = {}) {
    yield this.topics.get(topic)![partition]!.slice(from, to);
  }
}

/** A run that went well: everything sent, acked, logged and rolled up once. Tests then break one thing. */
class World {
  readonly ledger = new Ledger({
    v: 1,
    kind: "sluice.ledger",
    seed: 1,
    devices: DEVICES,
    prefix: "t-",
    boot: "b1",
    metrics: [...METRICS],
    qos: 1,
    startedAt: START,
    anomalies: [],
  });
  readonly log = new MemoryLog();
  readonly rollups = new Map<string, Rollup>();
  stats: Stats = { received: 0, readings: 0, invalid: 0 };

  /** `keep`: whether the gateway writes the message of this ledger number to the log. */
  constructor(keep: (n: number) => boolean = () => true, acked: (n: number) => boolean = () => true) {
    const faults = { duplicates: 0, reordered: 0.1, malformed: 0.2, late: 0.2, cuts: 0 };
    for (let device = 0; device < DEVICES; device++) {
      const options = { seed: 1, device, prefix: "t-", boot: "b1", count: 100, startTs: START };
      for (const message of deviceScript({
        ...{ ...options, firstMs: 0, stepMs: 1_000, paced: true, faults, anomalies: [] },
      })) {
        const { dueMs, labels, topic, payload, truth } = message;
        const entry =
          truth.end === "reading"
            ? { end: "reading" as const, ...truth.reading }
            : { end: "invalid" as const, reason: truth.reason, topic, payload };
        const n = this.ledger.add({ device, labels, dueMs, sentMs: dueMs + 1, truth: entry });
        if (acked(n)) this.ledger.addAck(n, dueMs + 3);
        this.stats.received++;
        if (!keep(n)) continue;
        if (truth.end === "reading") this.addReading(n);
        else this.addDeadLetter(n);
      }
    }
    this.rollUp();
  }

  record(n: number): ReadingRecord {
    const deviceId = this.ledger.deviceId(this.ledger.device(n));
    const { seq, ts, values } = this.ledger.reading(n);
    const reading = { deviceId, boot: "b1", seq, ts, values: namedValues(METRICS, values) };
    return { v: 1, id: readingId(reading, ""), ingestTs: ts, ...reading };
  }

  addReading(n: number, changes: Partial<ReadingRecord> = {}): void {
    this.log.add(TOPICS.readings, this.ledger.device(n) % 2, { ...this.record(n), ...changes });
    this.stats.readings++;
  }

  addDeadLetter(n: number, changes: Partial<DeadLetterRecord> = {}): void {
    const { topic, payload, reason } = this.ledger.invalid(n)!;
    const letter = {
      v: 1,
      id: `x-${n}`,
      reason,
      detail: "d",
      topic,
      ingestTs: 0,
      payloadBytes: payload.length,
    };
    this.log.add(TOPICS.invalid, 0, { ...letter, payload: payload.toString("base64"), ...changes });
    this.stats.invalid++;
  }

  /** Rollups as the processors would write them: each identity once, in event-time order. */
  rollUp(): void {
    const records = new Map<string, ReadingRecord>();
    for (const partition of this.log.topics.get(TOPICS.readings) ?? []) {
      for (const { value } of partition) {
        const record = JSON.parse(Buffer.from(value).toString()) as ReadingRecord;
        records.set(record.id, record);
      }
    }
    for (const { deviceId, ts, values } of [...records.values()].sort((a, b) => a.ts - b.ts)) {
      for (const [metric, value] of Object.entries(values)) this.#fold(deviceId, metric, ts, value);
    }
  }

  #fold(device: string, metric: string, ts: number, value: number): void {
    const start = windowStart(ts, 10_000);
    const key = `${device}/${metric}/${start}`;
    const old = this.rollups.get(key);
    const [min, max] = [Math.min(old?.min ?? value, value), Math.max(old?.max ?? value, value)];
    const count = (old?.count ?? 0) + 1;
    const sum = (old?.sum ?? 0) + value;
    const rest = {
      mean: sum / count,
      first: old?.first ?? value,
      last: value,
      p50: 0,
      p95: 0,
      p99: 0,
      revision: count,
    };
    this.rollups.set(key, { device, metric, resolution: "10s", start, count, sum, min, max, ...rest });
  }

  readings(): number[] {
    return this.#entries().filter((n) => !this.ledger.invalid(n));
  }

  malformed(): number[] {
    return this.#entries().filter((n) => this.ledger.invalid(n));
  }

  #entries(): number[] {
    return Array.from({ length: this.ledger.size }, (_, n) => n);
  }

  verify(query?: (query: RollupQuery) => Promise<Rollup[]>): Promise<VerifyReport> {
    const stored = async ({ device, metric, from, to }: RollupQuery) =>
      [...this.rollups.values()].filter(
        (r) => r.device === device && r.metric === metric && r.start >= from && r.start < to,
      );
    return verifyLedger({
      ledger: this.ledger,
      log: this.log,
      store: { rollups: query ?? stored },
      stats: async () => this.stats,
      baseline: { offsets: {}, stats: { received: 0, readings: 0, invalid: 0 } },
      clock: systemClock,
      settleMs: 300,
    });
  }
}

test("a run that went well is ok, and every count is told", async () => {
  const world = new World();
  const report = await world.verify();
  assert.deepEqual(report.problems, []);
  assert.equal(report.ok, true);
  const [readings, malformed] = [world.readings().length, world.malformed().length];
  assert.equal(readings, DEVICES * 100);
  assert.ok(malformed > 20 && report.late > 20);
  assert.deepEqual(
    [report.sent, report.acked, report.readings, report.invalidExpected, report.invalidSeen],
    [readings + malformed, readings + malformed, readings, malformed, malformed],
  );
  assert.deepEqual([report.lost, report.duplicated, report.unknown, report.rollups.mismatches], [0, 0, 0, 0]);
  assert.ok(report.rollups.windows >= DEVICES * METRICS.length * 10);
  assert.equal(report.latency.publishToAck.p50, 2);
  assert.match(renderReport(report), /^OK: /m);
  assert.deepEqual(JSON.parse(reportJson(report)).ok, true);
});

test("an acked reading or malformed message that is nowhere is lost", async () => {
  const clean = new World();
  for (const gone of [
    clean.readings()[7]!,
    clean.malformed().find((n) => clean.ledger.invalid(n)!.reason !== "empty")!,
  ]) {
    const report = await new World((n) => n !== gone).verify();
    assert.equal(report.lost, 1);
    assert.equal(report.lostFirst[0]!.entry, gone);
    assert.equal(report.ok, false);
    assert.match(renderReport(report), /NOT OK[\s\S]*1 acked messages are lost/);
  }
});

test("an unacked message may be in the log or not", async () => {
  const [unacked, absent] = [new World().readings().slice(0, 10), new World().readings().slice(0, 5)];
  const report = await new World(
    (n) => !absent.includes(n),
    (n) => !unacked.includes(n),
  ).verify();
  assert.deepEqual(report.problems, []);
  assert.deepEqual([report.unacked, report.unackedPresent, report.lost], [10, 5, 0]);
});

test("a copy in the log is a repeat when the device sent twice, and duplicated when it did not", async () => {
  const world = new World();
  const [resent, once] = world.readings() as [number, number];
  world.addReading(resent);
  world.ledger.addSend(resent);
  const explained = await world.verify();
  assert.deepEqual(explained.problems, []);
  assert.deepEqual([explained.repeats, explained.duplicated], [1, 0]);
  const malformed = world.malformed()[0]!;
  world.addDeadLetter(malformed);
  world.ledger.addSend(malformed);
  const both = await world.verify();
  assert.deepEqual([both.problems, both.repeats], [[], 2]);
  assert.equal(both.invalidSeen, both.invalidExpected);
  world.addReading(once);
  const report = await world.verify();
  assert.deepEqual([report.ok, report.repeats, report.duplicated], [false, 2, 1]);
});

test("a reading that counts twice in a rollup is found, without waiting for what cannot heal", async () => {
  const world = new World();
  const { deviceId, ts, values } = world.record(world.readings()[11]!);
  const start = windowStart(ts, 10_000);
  const rollup = world.rollups.get(`${deviceId}/temperature/${start}`)!;
  rollup.count++;
  rollup.sum += values.temperature!;
  const report = await world.verify();
  assert.equal(report.rollups.mismatches, 1);
  const [mismatch] = report.rollupMismatches;
  assert.deepEqual([mismatch!.device, mismatch!.metric, mismatch!.start], [deviceId, "temperature", start]);
  assert.equal(mismatch!.actual!.count, mismatch!.expected!.count + 1);
  assert.equal(report.ok, false);
});

test("every field of a rollup is held against the ledger, and so are windows too few or too many", async () => {
  for (const field of ["sum", "min", "max", "first", "last"] as const) {
    const world = new World();
    [...world.rollups.values()][20]![field] += 0.001;
    assert.equal((await world.verify()).rollups.mismatches, 1, field);
  }
  const world = new World();
  const [key, rollup] = [...world.rollups][30]!;
  world.rollups.delete(key);
  const missing = await world.verify();
  assert.equal(missing.rollupMismatches[0]!.actual, undefined);
  assert.equal(missing.rollups.mismatches, 1);

  const extra = new World();
  extra.rollups.set("extra", { ...rollup, start: rollup.start + 1 });
  const unexpected = await extra.verify();
  assert.equal(unexpected.rollups.mismatches, 1);
  assert.equal(unexpected.rollupMismatches[0]!.expected, undefined);
});

test("rollups that come later are waited for", async () => {
  const world = new World();
  let asked = 0;
  const report = await world.verify(async ({ device, metric }) => {
    asked++;
    if (asked <= DEVICES * METRICS.length * 2) return [];
    return [...world.rollups.values()].filter((r) => r.device === device && r.metric === metric);
  });
  assert.deepEqual(report.problems, []);
});

test("a reading in the late topic must not count; one that was not late must not be there", async () => {
  const world = new World();
  const behind = world.readings().find((n) => {
    const earlier = world
      .readings()
      .filter((e) => e < n && world.ledger.device(e) === world.ledger.device(n));
    return earlier.some((e) => world.ledger.ts(e) > world.ledger.ts(n));
  })!;
  world.log.add(TOPICS.late, 1, world.record(behind));
  const counted = await world.verify();
  assert.equal(counted.rollups.mismatches, METRICS.length);
  assert.deepEqual([counted.lateTopic, counted.lateUnexpected], [1, 0]);

  const wrong = new World();
  wrong.log.add(TOPICS.late, 0, wrong.record(0));
  assert.equal((await wrong.verify()).lateUnexpected, 1);
});

test("when one of two copies came too late, the reading still counts once", async () => {
  const world = new World();
  world.addReading(0);
  world.ledger.addSend(0);
  world.log.add(TOPICS.late, 0, world.record(0));
  assert.deepEqual((await world.verify()).problems, []);
});

test("a dead letter with the wrong reason, or of a valid reading, is found", async () => {
  const bad = new World().malformed().find((n) => new World().ledger.invalid(n)!.reason === "bad_ts")!;
  const world = new World((n) => n !== bad);
  world.addDeadLetter(bad, { reason: "not_json" });
  const wrongReason = await world.verify();
  assert.deepEqual([wrongReason.ok, wrongReason.wrongReason, wrongReason.lost], [false, 1, 0]);
  assert.match(wrongReason.findings[0]!.what, /not_json instead of bad_ts/);

  const rejected = new World((n) => n !== 0);
  const { deviceId, seq, ts, boot, values } = rejected.record(0);
  const payload = Buffer.from(JSON.stringify({ ts, seq, boot, values }));
  const topic = `devices/${deviceId}/telemetry`;
  const letter = {
    v: 1,
    id: "y",
    reason: "bad_ts",
    detail: "d",
    topic,
    deviceId,
    ingestTs: 0,
    payloadBytes: 1,
  };
  rejected.log.add(TOPICS.invalid, 1, { ...letter, payload: payload.toString("base64") });
  rejected.stats.invalid++;
  const wrongEnd = await rejected.verify();
  assert.deepEqual([wrongEnd.ok, wrongEnd.wrongEnd, wrongEnd.lost], [false, 1, 0]);
});

test("records that were changed, or never sent, are found; those of other devices are none of our business", async () => {
  const altered = new World((n) => n !== 0);
  altered.addReading(0, { values: { ...altered.record(0).values, temperature: 99 } });
  assert.equal((await altered.verify()).altered, 1);

  const shifted = new World((n) => n !== 0);
  const { ts } = shifted.record(0);
  shifted.addReading(0, { ts: ts + 1 });
  assert.match((await shifted.verify()).findings[0]!.what, new RegExp(`ts ${ts + 1} instead of ${ts}`));

  const otherId = new World((n) => n !== 0);
  otherId.addReading(0, { id: "0".repeat(32) });
  assert.equal((await otherId.verify()).altered, 1);

  for (const change of [{ seq: 100_000 }, { boot: "another" }]) {
    const world = new World();
    world.addReading(0, change);
    assert.equal((await world.verify()).unknown, 1);
  }
  const foreign = new World();
  foreign.addReading(0, { deviceId: "somebody-else" });
  assert.deepEqual((await foreign.verify()).problems, []);
});

test("only what was appended since the baseline is judged", async () => {
  const world = new World();
  const size = world.log.topics.get(TOPICS.readings)![0]!.length;
  const options = { ledger: world.ledger, log: world.log, clock: systemClock };
  const report = await verifyLedger({
    ...options,
    baseline: { offsets: { [TOPICS.readings]: { 0: size } } },
  });
  assert.equal(report.lost, size);
  assert.deepEqual([report.rollups.checked, report.stats.checked], [false, false]);
});

test("counters that disagree with the topics or with the acks are found; a restart makes them void", async () => {
  for (const change of [{ readings: 1 }, { invalid: 1 }, { received: 1 }]) {
    const world = new World();
    const { received, readings, invalid } = world.stats;
    const less = { received, readings, invalid, ...change };
    world.stats = less;
    const report = await world.verify();
    assert.equal(report.stats.problems.length, 1, JSON.stringify(change));
    assert.equal(report.ok, false);
  }
  const restarted = new World();
  restarted.stats = { received: 1, readings: 1, invalid: 1, startedAt: 5 };
  const report = await restarted.verify();
  assert.deepEqual([report.ok, report.stats.checked], [true, false]);
});

test("a run that ended too early to prove anything is not ok", async () => {
  const unacked = await new World(
    () => true,
    () => false,
  ).verify();
  assert.deepEqual([unacked.ok, unacked.problems], [false, ["nothing was acked"]]);
  const stalled = new World();
  stalled.ledger.end = { unfinished: 2, aborted: false };
  assert.match((await stalled.verify()).problems[0]!, /2 of 3 devices did not get all/);
  stalled.ledger.end = { unfinished: 2, aborted: true };
  assert.equal((await stalled.verify()).ok, true);
});
