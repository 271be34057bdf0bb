/**
 * The log contract: topics and appending.
 */
import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import type { AppendRecord } from "../../contracts/ports/log.js";
import {
  Recorder,
  rangeOf,
  readAll,
  record,
  rejectsWith,
  type Suite,
  T0,
  textOf,
  texts,
  topic,
  unique,
} from "./log-suite-support.js";

/** Keys and their hashes as the tests of Kafka's Java client have them. */
const JAVA_MURMUR2: Record<string, number> = {
  "21": -973932308,
  foobar: -790332482,
  "a-little-bit-long-string": -985981536,
  "a-little-bit-longer-string": -1486304829,
  lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58897971,
  abc: 479470107,
};
export function topicTests(suite: Suite): void {
  it("creates topics, empty, and leaves existing ones with their partition count", async () => {
    const log = suite.log();
    const name = await topic(suite, 3);
    const ranges = await log.ranges(name);
    assert.deepEqual(ranges.map((range) => range.partition).sort(), [0, 1, 2]);
    for (const range of ranges) assert.equal(range.earliest, range.next);
    await log.append(name, [record("a", { key: "k" })]);
    await log.ensureTopics([{ name, partitions: 5 }]);
    const again = await log.ranges(name);
    assert.equal(again.length, 3);
    assert.equal(
      again.reduce((sum, range) => sum + range.next - range.earliest, 0),
      1,
    );
  });

  it("knows no topic that was not created", async () => {
    const log = suite.log();
    const name = unique("missing");
    await rejectsWith("LOG_UNKNOWN_TOPIC", () => log.append(name, [record("a")]));
    await rejectsWith("LOG_UNKNOWN_TOPIC", () => log.ranges(name));
    await rejectsWith("LOG_UNKNOWN_TOPIC", () => log.offsetForTime(name, 0, T0));
    await rejectsWith("LOG_UNKNOWN_TOPIC", () => readAll(log, name, 0, 0));
    await rejectsWith("LOG_UNKNOWN_TOPIC", () => log.subscribe(unique("group"), name, new Recorder()));
  });

  it("is ready to append", async () => {
    await suite.log().check();
  });
}

export function appendTests(suite: Suite): void {
  it("gives back what was appended: order, key, value, headers, time", async () => {
    const log = suite.log();
    const name = await topic(suite);
    const sent: AppendRecord[] = [
      {
        key: "d1",
        value: Buffer.from("one"),
        timestamp: T0,
        headers: { reason: "bad_ts", détail: "naïve ☃" },
      },
      { key: "d2", value: Buffer.from("two"), timestamp: T0 + 2 },
      { value: Buffer.from("three"), timestamp: T0 + 1, headers: { empty: "" } },
      { key: "gerät-漢字", value: Buffer.from("four"), timestamp: T0 + 3, headers: {} },
    ];
    await log.append(name, sent);
    const got = await readAll(log, name);
    assert.deepEqual(
      got.map((one) => [one.partition, one.key, textOf(one), one.timestamp, { ...one.headers }]),
      sent.map((one) => [0, one.key ?? null, textOf(one), one.timestamp, one.headers ?? {}]),
    );
    const offsets = got.map((one) => one.offset);
    for (let i = 1; i < offsets.length; i++) assert.ok(offsets[i]! > offsets[i - 1]!, "offsets rise");
    if (suite.supports().contiguousOffsets === true) assert.deepEqual(offsets, [0, 1, 2, 3]);
  });

  it("keeps any bytes, and none at all", async () => {
    const log = suite.log();
    const name = await topic(suite);
    const bytes = Uint8Array.from({ length: 1024 }, (_, i) => i % 256);
    const view = new Uint8Array(bytes.buffer, 3, 300);
    await log.append(name, [
      { value: bytes, timestamp: T0 },
      { value: new Uint8Array(0), timestamp: T0 },
      { value: view, timestamp: T0 },
    ]);
    const got = await readAll(log, name);
    assert.deepEqual(
      got.map((one) => Buffer.from(one.value)),
      [bytes, new Uint8Array(0), view].map((v) => Buffer.from(v)),
    );
  });

  it("does not look at the caller's array or bytes after the append resolved", async () => {
    const log = suite.log();
    const name = await topic(suite);
    const value = Buffer.from("before");
    const records = [{ value, timestamp: T0 }];
    await log.append(name, records);
    value.fill("x");
    records.length = 0;
    assert.deepEqual((await readAll(log, name)).map(textOf), ["before"]);
  });

  it("appending nothing is nothing", async () => {
    const log = suite.log();
    const name = await topic(suite);
    await log.append(name, []);
    const range = await rangeOf(log, name);
    assert.equal(range.next, range.earliest);
    assert.deepEqual(await readAll(log, name), []);
  });

  it("maps a key to its partition as Kafka's Java client does", async () => {
    const log = suite.log();
    const name = await topic(suite, 7);
    const keys = Object.keys(JAVA_MURMUR2);
    for (const again of ["first", "second"]) {
      await log.append(
        name,
        keys.map((key) => record(again, { key })),
      );
    }
    let seen = 0;
    for (let partition = 0; partition < 7; partition++) {
      for (const one of await readAll(log, name, partition)) {
        assert.equal(one.partition, partition);
        assert.equal((JAVA_MURMUR2[one.key ?? ""]! & 0x7fffffff) % 7, partition, `key ${one.key}`);
        seen++;
      }
    }
    assert.equal(seen, 2 * keys.length);
  });

  it("spreads records without a key over the partitions", async () => {
    const log = suite.log();
    const name = await topic(suite, 3);
    for (let i = 0; i < 12; i++) await log.append(name, [record(`v${i}`)]);
    const counts = (await log.ranges(name)).map((range) => range.next - range.earliest);
    assert.equal(counts.reduce((a, b) => a + b, 0) >= 12, true);
    assert.ok(counts.filter((count) => count > 0).length > 1, `all in one partition: ${counts}`);
  });

  it("stores a batch of 10,000 in order", async () => {
    const log = suite.log();
    const name = await topic(suite);
    const sent = texts(0, 10_000);
    await log.append(
      name,
      sent.map((text) => record(text, { key: "k" })),
    );
    assert.deepEqual((await readAll(log, name)).map(textOf), sent);
  });

  it("keeps the order of concurrent appends in each partition", async () => {
    const log = suite.log();
    const name = await topic(suite, 2);
    const keys = ["a", "b", "c", "d", "e"];
    const calls: Promise<void>[] = [];
    for (let call = 0; call < 60; call++) {
      calls.push(
        log.append(
          name,
          keys.map((key) => record(String(call), { key })),
        ),
      );
    }
    await Promise.all(calls);
    const perKey = new Map<string, number[]>();
    for (const partition of [0, 1]) {
      for (const one of await readAll(log, name, partition)) {
        const list = perKey.get(one.key ?? "") ?? [];
        perKey.set(one.key ?? "", list);
        list.push(Number(textOf(one)));
      }
    }
    for (const key of keys) {
      assert.deepEqual(
        perKey.get(key),
        Array.from({ length: 60 }, (_, i) => i),
        `key ${key}`,
      );
    }
  });

  it("refuses a record above its limit, and goes on", async (t: TestContext) => {
    const limit = suite.supports().maxRecordBytes;
    if (limit === undefined) return t.skip("no limit");
    const log = suite.log();
    const name = await topic(suite);
    const large = { value: new Uint8Array(limit + 1), timestamp: T0 };
    await rejectsWith("LOG_RECORD_TOO_LARGE", () => log.append(name, [large]));
    await log.append(name, [record("after")]);
    assert.deepEqual((await readAll(log, name)).map(textOf), ["after"]);
  });
}
