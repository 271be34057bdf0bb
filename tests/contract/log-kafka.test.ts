/**
 * The Kafka adapter against a real broker: the contract suite of the log port, and what only a broker can show:
 * crashes, rebalances, settings of topics.
 */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { openKafkaLog } from "../../adapters/log/kafka/index.js";
import {
  deleteBefore,
  missingForKafka,
  TestBroker,
  topicSettings,
  withAdmin,
} from "../../adapters/log/kafka/testing/broker.js";
import { Worker } from "../../adapters/log/kafka/testing/worker.js";
import { hasCode } from "../../contracts/errors.js";
import type { Log, LogRecord, Offset } from "../../contracts/ports/log.js";
import { systemClock } from "../../runtime/clock.js";
import { createLogger } from "../../runtime/logger.js";
import { logContractSuite } from "../../testkit/contracts/log-suite.js";

const MAX_RECORD_BYTES = 100_000;
const WAIT_LIMIT_MS = 120_000;
const missing = missingForKafka();

function open(brokers: string[], more: { sessionTimeoutMs?: number } = {}): Promise<Log> {
  return openKafkaLog({
    brokers,
    clientId: "contract",
    clock: systemClock,
    logger: createLogger(process.env.SLUICE_TEST_LOG ?? "silent"),
    maxRecordBytes: MAX_RECORD_BYTES,
    sessionTimeoutMs: 30_000,
    heartbeatIntervalMs: 200,
    ...more,
  });
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = Date.now() + WAIT_LIMIT_MS;
  while (!(await condition())) {
    if (Date.now() > giveUpAt) assert.fail(`waited in vain: ${what}`);
    await systemClock.sleep(20);
  }
}

function numbered(from: number, to: number, key: string) {
  return Array.from({ length: to - from }, (_, i) => ({
    key,
    value: Buffer.from(String(from + i)),
    timestamp: Date.now(),
  }));
}

async function readAll(log: Log, topic: string): Promise<LogRecord[]> {
  const all: LogRecord[] = [];
  for (const { partition, earliest } of await log.ranges(topic)) {
    for await (const batch of log.read(topic, partition, earliest)) all.push(...batch);
  }
  return all;
}

/** The numbers of each key in log order, repeats dropped: what a reader that knows records by identity sees. */
function firstSeen(records: readonly LogRecord[]): Map<string, number[]> {
  const seen = new Map<string, Set<number>>();
  for (const { key, value } of records) {
    const numbers = seen.get(key!) ?? new Set();
    seen.set(key!, numbers.add(Number(Buffer.from(value).toString())));
  }
  return new Map([...seen].map(([key, numbers]) => [key, [...numbers]]));
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

if (missing !== undefined) {
  console.error(missing);
  describe("log contract: kafka", { skip: missing }, () => {});
} else {
  logContractSuite("kafka", openSuite);
  describe("kafka: a real broker", () => {
    const kafka = withBroker();
    describe("consumer groups", () => groupTests(kafka));
    describe("topics", () => topicTests(kafka));
    describe("crashes of the broker", () => crashTests(kafka));
  });
}

async function openSuite() {
  const broker = await TestBroker.start();
  let log = await open(broker.brokers);
  return {
    log,
    reopen: async () => {
      await log.close();
      log = await open(broker.brokers);
      return log;
    },
    close: async () => {
      await log.close();
      await broker.stop();
    },
    supports: {
      contiguousOffsets: true,
      maxRecordBytes: MAX_RECORD_BYTES,
      deleteBefore: (topic: string, partition: number, offset: Offset) =>
        deleteBefore(broker.brokers, topic, partition, offset),
    },
  };
}

/** A broker for a group of tests, and logs that are closed after each. */
function withBroker() {
  let broker: TestBroker;
  let logs: Log[] = [];
  let topics = 0;
  before(async () => {
    broker = await TestBroker.start();
  });
  afterEach(async () => {
    await Promise.all(logs.map((log) => log.close()));
    logs = [];
  });
  after(() => broker.stop());
  return {
    broker: () => broker,
    async open(more: { sessionTimeoutMs?: number } = {}): Promise<Log> {
      const log = await open(broker.brokers, more);
      logs.push(log);
      return log;
    },
    async topic(log: Log, partitions: number): Promise<string> {
      const name = `topic-${++topics}`;
      await log.ensureTopics([{ name, partitions }]);
      return name;
    },
  };
}

function crashTests(kafka: ReturnType<typeof withBroker>): void {
  it("loses no acknowledged record and keeps the order when it is killed in mid-append", async () => {
    const log = await kafka.open();
    const topic = await kafka.topic(log, 4);
    const calls = 150;
    const perCall = 20;
    let acked = 0;
    let rejected = 0;
    const caller = async (key: string) => {
      for (let call = 0; call < calls; ) {
        try {
          await log.append(topic, numbered(call * perCall, (call + 1) * perCall, key));
          acked++;
          call++;
          await systemClock.sleep(1);
        } catch (error) {
          assert.ok(hasCode(error, "LOG_UNAVAILABLE"), String(error));
          rejected++;
        }
      }
    };
    const keys = ["a", "b", "c", "d", "e", "f"];
    const callers = Promise.all(keys.map(caller));
    await until("some appends are acknowledged", () => acked > 100);
    await kafka.broker().kill();
    await until("some append is rejected", () => rejected > 0);
    await kafka.broker().restart();
    await callers;
    const seen = firstSeen(await readAll(log, topic));
    for (const key of keys) assert.deepEqual(seen.get(key), upTo(calls * perCall), `key ${key}`);
  });

  it("rejects every append behind a failed one, so that a caller with several under way can repeat them in order", async () => {
    const log = await kafka.open();
    const topic = await kafka.topic(log, 1);
    let next = 0;
    let failures = 0;
    let stopAt = Number.POSITIVE_INFINITY;
    const writer = (async () => {
      while (next < stopAt) {
        const window = upTo(8).map((i) => next + i);
        const outcomes = await Promise.allSettled(
          window.map((n) => log.append(topic, numbered(n, n + 1, "k"))),
        );
        const firstBad = outcomes.findIndex((outcome) => outcome.status === "rejected");
        if (firstBad < 0) {
          next += window.length;
          continue;
        }
        failures++;
        const after = outcomes.slice(firstBad);
        assert.ok(
          after.every((outcome) => outcome.status === "rejected"),
          "a later append was acknowledged",
        );
        next += firstBad;
      }
    })();
    await until("some are in", () => next > 50);
    await kafka.broker().kill();
    await until("some fail", () => failures > 0);
    await kafka.broker().restart();
    stopAt = next + 50;
    await writer;
    assert.deepEqual(firstSeen(await readAll(log, topic)).get("k"), upTo(next));
  });

  it("opens without a broker, says so, and works as soon as there is one", async () => {
    const first = await kafka.open();
    const topic = await kafka.topic(first, 1);
    await kafka.broker().kill();
    const log = await kafka.open();
    const unavailable = (error: unknown) => hasCode(error, "LOG_UNAVAILABLE");
    await assert.rejects(log.check(), unavailable);
    await assert.rejects(log.append(topic, numbered(0, 1, "k")), unavailable);
    await assert.rejects(log.ranges(topic), unavailable);
    await assert.rejects(log.subscribe("g", topic, new Worker(log, "g", topic, new Map(), [])), unavailable);
    await kafka.broker().restart();
    await log.check();
    await log.append(topic, numbered(0, 1, "k"));
    await first.append(topic, numbered(1, 2, "k"));
    assert.deepEqual(firstSeen(await readAll(log, topic)).get("k"), [0, 1]);
  });

  it("goes on with its subscriptions and followers, nothing twice and nothing missing", async () => {
    const log = await kafka.open();
    const topic = await kafka.topic(log, 2);
    const violations: string[] = [];
    const worker = new Worker(log, "survivor", topic, new Map(), violations);
    const subscription = await log.subscribe("survivor", topic, worker);
    const stop = new AbortController();
    let followed = 0;
    const follower = (async () => {
      for await (const batch of log.read(topic, 0, 0, { follow: true, signal: stop.signal }))
        followed += batch.length;
    })();
    for (let i = 0; i < 20; i++) await log.append(topic, numbered(i, i + 1, `k${i}`));
    await until("the first 20", () => worker.handled.length === 20);
    await kafka.broker().kill();
    await kafka.broker().restart();
    for (let i = 20; i < 40; i++) await log.append(topic, numbered(i, i + 1, `k${i}`));
    await until("the other 20", () => worker.handled.length >= 40);
    const inPartition0 = worker.handled.filter((one) => one.partition === 0).length;
    await until("the follower has them", () => followed >= inPartition0);
    stop.abort();
    await follower;
    await subscription.close();
    await subscription.done;
    assert.equal(followed, inPartition0);
    assert.equal(new Set(worker.handled.map((one) => `${one.partition}/${one.offset}`)).size, 40);
    assert.equal(worker.handled.length, 40);
    assert.deepEqual(violations, []);
    assert.deepEqual(worker.events.filter((event) => !event.endsWith("closing")).sort(), [
      "assigned 0",
      "assigned 1",
    ]);
  });

  it("gives partitions up as lost when the session runs out, and takes them again", async () => {
    const log = await kafka.open({ sessionTimeoutMs: 1_000 });
    const topic = await kafka.topic(log, 1);
    const violations: string[] = [];
    const worker = new Worker(log, "expired", topic, new Map(), violations);
    const subscription = await log.subscribe("expired", topic, worker);
    await until("the partition", () => worker.events.length === 1);
    await kafka.broker().kill();
    await until("it is lost", () => worker.events.includes("revoked 0 lost"));
    await assert.rejects(log.commit("expired", topic, 0, 5), (error) => hasCode(error, "FENCED"));
    await kafka.broker().restart();
    await until(
      "it is taken again",
      () => worker.events.filter((event) => event === "assigned 0").length === 2,
    );
    await log.append(topic, numbered(0, 3, "k"));
    await until("records", () => worker.handled.length === 3);
    await subscription.close();
    assert.deepEqual(worker.events, ["assigned 0", "revoked 0 lost", "assigned 0", "revoked 0 closing"]);
    assert.deepEqual(violations, []);
  });
}

function groupTests(kafka: ReturnType<typeof withBroker>): void {
  it("shares partitions among members, moves them without two owners, and without a gap or a repeat", async () => {
    const log = await kafka.open();
    const partitions = 6;
    const topic = await kafka.topic(log, partitions);
    const owners = new Map<number, Worker>();
    const violations: string[] = [];
    const workers = upTo(3).map(() => new Worker(log, "team", topic, owners, violations));
    const join = (i: number) => log.subscribe("team", topic, workers[i]!);
    const handled = () => workers.reduce((sum, worker) => sum + worker.handled.length, 0);
    let appended = 0;
    let appending = true;
    const writer = (async () => {
      for (; appending; appended++) await log.append(topic, numbered(appended, appended + 1, `k${appended}`));
    })();
    const owned = (i: number) => [...owners.values()].filter((owner) => owner === workers[i]).length;

    const first = await join(0);
    await until("the first has all", () => owned(0) === 6);
    const second = await join(1);
    await until("they share", () => owned(0) === 3 && owned(1) === 3);
    const third = await join(2);
    await until("all three share", () => upTo(3).every((i) => owned(i) === 2));
    const kept = workers[0]!.events.filter((event) => event.startsWith("assigned")).length;
    assert.equal(kept, 6, "what stays is not interrupted");
    await second.close();
    await until("the others take over", () => owned(0) === 3 && owned(2) === 3);
    await first.close();
    await until("the last has all", () => owned(2) === 6);
    appending = false;
    await writer;
    await until("everything is handled", () => handled() >= appended);
    await until("no lag", async () => (await third.lag()) === 0);
    await third.close();
    assert.deepEqual(violations, []);
    assert.equal(handled(), appended, "each record once");
    const distinct = new Set(
      workers.flatMap((worker) => worker.handled.map((one) => `${one.partition}/${one.offset}`)),
    );
    assert.equal(distinct.size, appended, "and none is missing");
    assert.deepEqual(owners.size, 0);
  });

  it("refuses commits for what another member has", async () => {
    const one = await kafka.open();
    const two = await kafka.open();
    const topic = await kafka.topic(one, 1);
    const worker = new Worker(one, "solo", topic, new Map(), []);
    const subscription = await one.subscribe("solo", topic, worker);
    await until("assigned", () => worker.events.length === 1);
    await assert.rejects(two.commit("solo", topic, 0, 7), (error) => hasCode(error, "FENCED"));
    await one.commit("solo", topic, 0, 3);
    assert.equal(await two.committed("solo", topic, 0), 3);
    await subscription.close();
    await two.commit("solo", topic, 0, 7);
    assert.equal(await one.committed("solo", topic, 0), 7);
  });
}

function topicTests(kafka: ReturnType<typeof withBroker>): void {
  it("brings retention up to date and leaves other settings alone", async () => {
    const log = await kafka.open();
    const { brokers } = kafka.broker();
    const configEntries = [
      { name: "retention.ms", value: "1000000" },
      { name: "segment.bytes", value: "2000000" },
    ];
    await withAdmin(brokers, (admin) =>
      admin.createTopics({ topics: [{ topic: "kept", numPartitions: 1, configEntries }] }),
    );
    await log.ensureTopics([
      { name: "kept", partitions: 1, retentionMs: 86_400_000, retentionBytes: 5_000_000 },
    ]);
    const names = ["retention.ms", "retention.bytes", "segment.bytes"];
    assert.deepEqual(await topicSettings(brokers, "kept", names), ["86400000", "5000000", "2000000"]);
    await log.ensureTopics([{ name: "kept", partitions: 1 }]);
    assert.deepEqual(await topicSettings(brokers, "kept", names), ["-1", "-1", "2000000"]);
  });

  it("finds offsets by time also where times have different numbers of digits", async () => {
    const log = await kafka.open();
    const topic = await kafka.topic(log, 1);
    const at = (timestamp: number) => ({ value: Buffer.from("x"), timestamp });
    await log.append(topic, [50, 100, 9].map(at));
    await log.append(topic, [70_000, 1e12].map(at));
    assert.deepEqual(
      await Promise.all([0, 60, 101, 1e12].map((ms) => log.offsetForTime(topic, 0, ms))),
      [0, 1, 3, 4],
    );
  });

  it("splits what is too large together for the topic, and refuses only what is too large alone", async () => {
    const log = await kafka.open();
    const { brokers } = kafka.broker();
    const configEntries = [{ name: "max.message.bytes", value: "5000" }];
    await withAdmin(brokers, (admin) =>
      admin.createTopics({ topics: [{ topic: "narrow", numPartitions: 2, configEntries }] }),
    );
    const sized = (bytes: number, key: string) => ({
      key,
      value: Buffer.alloc(bytes),
      timestamp: Date.now(),
    });
    const good = upTo(20).map((i) => log.append("narrow", [sized(2_000, `k${i}`)]));
    const bad = assert.rejects(log.append("narrow", [sized(8_000, "k")]), (error) =>
      hasCode(error, "LOG_RECORD_TOO_LARGE"),
    );
    await Promise.all([...good, bad]);
    assert.equal((await readAll(log, "narrow")).length >= 20, true);
  });
}
