import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import { pino } from "pino";
import { SluiceError } from "../../contracts/errors.js";
import type { AppendRecord } from "../../contracts/ports/log.js";
import type { ReadingRecord } from "../../contracts/reading.js";
import { TOPICS } from "../../contracts/topics.js";
import { systemClock } from "../../runtime/clock.js";
import type { Admitted } from "../ingest/admit.js";
import { DEFAULT_LIMITS } from "../limits.js";
import { TestLog, unavailable } from "../test-log.js";
import { Bridge } from "./bridge.js";

function start(limits: Partial<typeof DEFAULT_LIMITS> = {}) {
  const log = new TestLog();
  const retries = { count: 0 };
  const bridge = new Bridge({
    log,
    clock: systemClock,
    logger: pino({ level: "silent" }),
    limits: { ...DEFAULT_LIMITS, ...limits },
    onRetry: () => retries.count++,
  });
  const deliver = (admitted: Admitted) =>
    new Promise<void>((resolve, reject) => {
      bridge.deliver(admitted, (error) => (error === undefined ? resolve() : reject(error)));
    });
  return { log, bridge, deliver, retries };
}

const reading = (seq: number): ReadingRecord => ({
  v: 1,
  id: `id${seq}`,
  deviceId: "d1",
  ts: 1,
  ingestTs: 2,
  seq,
  values: { t: seq },
});
const message = (...seqs: number[]): Admitted => ({ readings: seqs.map(reading), deadLetters: [] });
const seqs = (log: TestLog) => log.json<ReadingRecord>(TOPICS.readings).map((record) => record.seq);

test("what comes during an append goes with the next one, in order, one append at a time", async () => {
  const { log, bridge, deliver } = start();
  log.hold();
  const first = deliver(message(1));
  await turn();
  const rest = [2, 3, 4].map((seq) => deliver(message(seq)));
  await turn();
  assert.equal(log.appends, 1);
  assert.equal(bridge.waiting, 4);
  log.release();
  await Promise.all([first, ...rest]);
  assert.equal(log.appends, 2);
  assert.deepEqual(seqs(log), [1, 2, 3, 4]);
});

test("appends are bounded in records and bytes; a message may span two and waits for both", async () => {
  const { log, deliver } = start({ maxAppendRecords: 2 });
  const sizes: number[] = [];
  const append = log.append.bind(log);
  log.append = (topic, records) => {
    sizes.push(records.length);
    return append(topic, records);
  };
  await Promise.all([deliver(message(1, 2, 3)), deliver(message(4, 5))]);
  assert.deepEqual(sizes, [2, 2, 1]);
  assert.deepEqual(seqs(log), [1, 2, 3, 4, 5]);

  const tight = start({ maxAppendBytes: 1 });
  await tight.deliver(message(1, 2));
  assert.equal(tight.log.appends, 2, "one record always goes");
});

test("readings and dead letters of one message are durable before it settles", async () => {
  const { log, deliver } = start();
  const deadLetter = {
    v: 1 as const,
    id: "x-1",
    reason: "bad_ts" as const,
    detail: "",
    topic: "devices/d1/telemetry",
    clientId: "c1",
    ingestTs: 2,
    payload: "",
    payloadBytes: 0,
  };
  await deliver({
    readings: [reading(1)],
    deadLetters: [deadLetter, { ...deadLetter, deviceId: "d1" }],
  });
  assert.deepEqual(seqs(log), [1]);
  assert.deepEqual(log.json(TOPICS.invalid), [deadLetter, { ...deadLetter, deviceId: "d1" }]);
  assert.deepEqual(
    log.records(TOPICS.invalid).map((record) => record.key),
    ["c1", "d1"],
  );
});

test("an unavailable log is tried again until it is back", async () => {
  const { log, deliver, retries } = start();
  log.failure = unavailable();
  let done = false;
  const delivered = deliver(message(1)).then(() => {
    done = true;
  });
  while (retries.count < 2) await delay(5);
  assert.equal(done, false);
  log.failure = undefined;
  await delivered;
  assert.deepEqual(seqs(log), [1]);
});

test("an append that stored and then failed is repeated whole: order is kept", async () => {
  const { log, deliver } = start();
  const append = log.append.bind(log);
  let failures = 1;
  log.append = async (topic, records) => {
    await append(topic, records);
    if (failures-- > 0) throw unavailable();
  };
  await Promise.all([deliver(message(1)), deliver(message(2))]);
  assert.deepEqual(seqs(log), [1, 2, 1, 2]);
});

test("a record too large for the log fails alone", async () => {
  const { log, deliver } = start();
  const append = log.append.bind(log);
  log.append = async (topic, records: readonly AppendRecord[]) => {
    if (records.some((record) => Buffer.from(record.value).includes('"seq":2,'))) {
      throw new SluiceError("LOG_RECORD_TOO_LARGE", "too large");
    }
    return append(topic, records);
  };
  const outcomes = await Promise.allSettled([1, 2, 3].map((seq) => deliver(message(seq))));
  assert.deepEqual(
    outcomes.map((outcome) => outcome.status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  assert.deepEqual(seqs(log), [1, 3]);
});

test("close rejects what is not durable, and everything after", async () => {
  const { log, bridge, deliver } = start();
  log.failure = unavailable();
  const outcome = assert.rejects(deliver(message(1)), { code: "ABORTED" });
  await turn();
  await bridge.close();
  await outcome;
  await assert.rejects(deliver(message(2)), { code: "ABORTED" });
  assert.equal(bridge.waiting, 0);
});
