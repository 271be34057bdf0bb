import assert from "node:assert/strict";
import { test } from "node:test";
import { TOPICS } from "../contracts/topics.js";
import { systemClock } from "../runtime/clock.js";
import { renderReport, reportJson } from "./report.js";
import { METRICS } from "./signals.js";
import { DEVICES, World } from "./testing/world.js";
import { verifyLedger } from "./verify.js";

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
