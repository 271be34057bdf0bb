/**
 * The contract of the log port (contracts/ports/log.ts) as tests, run over every adapter, plain and decorated.
 *
 * Adapter-neutral: offsets may start anywhere and have gaps, every test has topics and groups of its own, waits are
 * for conditions with a generous limit. The log is opened once for the whole suite. A test is skipped only through
 * the adapter's own {@link LogSupports}.
 */
import assert from "node:assert/strict";
import { after, before, describe, it, type TestContext } from "node:test";
import { hasCode } from "../../contracts/errors.js";
import type { AppendRecord, Log, LogRecord, Offset, PartitionHandler } from "../../contracts/ports/log.js";

/** What an adapter can do beyond the port, or what the harness can make happen to it. */
export interface LogSupports {
  /** The first record of a partition has offset 0 and there are no gaps. */
  contiguousOffsets?: boolean;
  /** A record with a value above this is refused with LOG_RECORD_TOO_LARGE. */
  maxRecordBytes?: number;
  /** Deletes records below `offset` as retention would: at least one, none at or above it. */
  deleteBefore?: (topic: string, partition: number, offset: Offset) => Promise<void>;
}

export interface LogUnderTest {
  log: Log;
  /** Closes the log and opens it again over the same data. The suite goes on with the result. */
  reopen?: () => Promise<Log>;
  /** Releases everything. Called once, last; the log may be closed already. */
  close(): Promise<void>;
  supports: LogSupports;
}

/** Keys and their hashes as the tests of Kafka's Java client have them. */
const JAVA_MURMUR2: Record<string, number> = {
  "21": -973932308,
  foobar: -790332482,
  "a-little-bit-long-string": -985981536,
  "a-little-bit-longer-string": -1486304829,
  lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58897971,
  abc: 479470107,
};
const WAIT_LIMIT_MS = 60_000;
const POLL_MS = 10;

/** Registers the suite with node:test under `name`. */
export function logContractSuite(name: string, open: () => Promise<LogUnderTest>): void {
  describe(`log contract: ${name}`, () => {
    let opened: LogUnderTest;
    const suite: Suite = {
      log: () => opened.log,
      supports: () => opened.supports,
      async reopen() {
        if (opened.reopen === undefined) return false;
        opened.log = await opened.reopen();
        return true;
      },
    };
    before(async () => {
      opened = await open();
    });
    after(async () => {
      await opened?.close();
    });
    topicTests(suite);
    appendTests(suite);
    readTests(suite);
    timeTests(suite);
    groupTests(suite);
    subscribeTests(suite);
    lifecycleTests(suite);
  });
}

interface Suite {
  log(): Log;
  supports(): LogSupports;
  /** False when the adapter cannot be reopened. */
  reopen(): Promise<boolean>;
}

let names = 0;
const run = `${process.pid.toString(36)}-${Date.now().toString(36)}`;

/** A name nobody has used before, also on a broker that outlives this process. */
function unique(kind: string): string {
  return `suite-${kind}-${run}-${++names}`;
}

/** A new topic; returns its name. */
async function topic(suite: Suite, partitions = 1): Promise<string> {
  const name = unique("topic");
  await suite.log().ensureTopics([{ name, partitions }]);
  return name;
}

/** Record times are recent: a broker may refuse or expire others. */
const T0 = Date.now() - 60_000;

function record(text: string, more: Partial<AppendRecord> = {}): AppendRecord {
  return { value: Buffer.from(text), timestamp: T0, ...more };
}

function texts(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `v${from + i}`);
}

function textOf(one: { value: Uint8Array }): string {
  return Buffer.from(one.value).toString();
}

/** A record whose value may be kept: the log's own view is valid until the next batch only. */
function keep(one: LogRecord): LogRecord {
  return { ...one, value: Uint8Array.from(one.value) };
}

async function readAll(
  log: Log,
  name: string,
  partition = 0,
  from?: Offset,
  to?: Offset,
): Promise<LogRecord[]> {
  const start = from ?? (await rangeOf(log, name, partition)).earliest;
  const all: LogRecord[] = [];
  for await (const batch of log.read(name, partition, start, to === undefined ? {} : { to })) {
    for (const one of batch) all.push(keep(one));
  }
  return all;
}

async function rangeOf(log: Log, name: string, partition = 0): Promise<{ earliest: Offset; next: Offset }> {
  const found = (await log.ranges(name)).find((range) => range.partition === partition);
  assert.ok(found, `no range for partition ${partition} of ${name}`);
  return found;
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = Date.now() + WAIT_LIMIT_MS;
  while (!(await condition())) {
    if (Date.now() > giveUpAt) assert.fail(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** `promise`, or a failure when it takes for ever. */
async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain: ${what}`)), WAIT_LIMIT_MS);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

async function rejectsWith(code: Parameters<typeof hasCode>[1], work: () => Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(hasCode(error, code), `expected ${code}, got ${String(error)}`);
    return true;
  });
}

function gate(): { opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

function topicTests(suite: Suite): void {
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

function appendTests(suite: Suite): void {
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

function readTests(suite: Suite): void {
  it("reads from any offset, and up to any offset", async () => {
    const log = suite.log();
    const name = await topic(suite);
    for (let i = 0; i < 10; i++)
      await log.append(
        name,
        texts(i * 7, i * 7 + 7).map((text) => record(text)),
      );
    const all = await readAll(log, name);
    assert.deepEqual(all.map(textOf), texts(0, 70));
    const range = await rangeOf(log, name);
    assert.ok(range.earliest <= all[0]!.offset && range.next > all[69]!.offset);
    for (const from of [0, 1, 6, 7, 8, 33, 69]) {
      assert.deepEqual(
        (await readAll(log, name, 0, all[from]!.offset)).map(textOf),
        texts(from, 70),
        `from ${from}`,
      );
      const to = Math.min(69, from + 11);
      const some = await readAll(log, name, 0, all[from]!.offset, all[to]!.offset);
      assert.deepEqual(some.map(textOf), texts(from, to), `from ${from} to ${to}`);
    }
    assert.deepEqual(await readAll(log, name, 0, range.next), []);
    assert.deepEqual(await readAll(log, name, 0, all[5]!.offset, all[5]!.offset), []);
  });

  it("stops at the end as it was when the read began", async () => {
    const log = suite.log();
    const name = await topic(suite);
    await log.append(
      name,
      texts(0, 20).map((text) => record(text)),
    );
    const { earliest } = await rangeOf(log, name);
    const seen: string[] = [];
    let more = true;
    for await (const batch of log.read(name, 0, earliest)) {
      seen.push(...batch.map(textOf));
      if (more) await log.append(name, [record("later")]);
      more = false;
    }
    assert.deepEqual(seen, texts(0, 20));
  });

  it("hands out batches of bounded size", async () => {
    const log = suite.log();
    const name = await topic(suite);
    for (let i = 0; i < 4; i++)
      await log.append(
        name,
        texts(i * 5000, i * 5000 + 5000).map((text) => record(text)),
      );
    const { earliest } = await rangeOf(log, name);
    let count = 0;
    let largest = 0;
    for await (const batch of log.read(name, 0, earliest)) {
      assert.ok(batch.length > 0, "no batch is empty");
      largest = Math.max(largest, batch.length);
      count += batch.length;
    }
    assert.equal(count, 20_000);
    assert.ok(largest <= 10_000, `a batch held ${largest} records`);
  });

  it("follows: waits at the end for new records until aborted", async () => {
    const log = suite.log();
    const name = await topic(suite);
    await log.append(name, [record("v0"), record("v1")]);
    const { earliest } = await rangeOf(log, name);
    const stop = new AbortController();
    const seen: string[] = [];
    const reader = (async () => {
      for await (const batch of log.read(name, 0, earliest, { follow: true, signal: stop.signal })) {
        seen.push(...batch.map(textOf));
      }
    })();
    await until("the follower sees what is there", () => seen.length === 2);
    for (let i = 2; i < 6; i++) await log.append(name, [record(`v${i}`)]);
    await until("the follower sees what came later", () => seen.length === 6);
    stop.abort();
    await within("the aborted follower ends", reader);
    assert.deepEqual(seen, texts(0, 6));
  });

  it("follows from the end of an empty partition; a follower that is left half way stops", async () => {
    const log = suite.log();
    const name = await topic(suite);
    const { next } = await rangeOf(log, name);
    const first = (async () => {
      for await (const batch of log.read(name, 0, next, { follow: true })) return batch.map(textOf);
      return [];
    })();
    await log.append(name, [record("first")]);
    assert.deepEqual(await within("the follower", first), ["first"]);
  });

  it("reads nothing with a signal that was aborted before", async () => {
    const log = suite.log();
    const name = await topic(suite);
    await log.append(name, [record("v0")]);
    const { earliest } = await rangeOf(log, name);
    const signal = AbortSignal.abort();
    for await (const batch of log.read(name, 0, earliest, { follow: true, signal })) {
      assert.fail(`read ${batch.length} records`);
    }
  });

  it("says when the offset is below the retained range", async (t: TestContext) => {
    const deleteBefore = suite.supports().deleteBefore;
    if (deleteBefore === undefined) return t.skip("records cannot be deleted");
    const log = suite.log();
    const name = await topic(suite);
    for (let i = 0; i < 5; i++)
      await log.append(
        name,
        texts(i * 4, i * 4 + 4).map((text) => record(text)),
      );
    const all = await readAll(log, name);
    await deleteBefore(name, 0, all[12]!.offset);
    const range = await rangeOf(log, name);
    assert.ok(range.earliest > all[0]!.offset && range.earliest <= all[12]!.offset, "something was deleted");
    await rejectsWith("LOG_OFFSET_OUT_OF_RANGE", () => readAll(log, name, 0, all[0]!.offset));
    const rest = await readAll(log, name);
    assert.deepEqual(rest.map(textOf), all.filter((one) => one.offset >= range.earliest).map(textOf));
    assert.deepEqual(
      rest.map((one) => one.offset),
      all.filter((one) => one.offset >= range.earliest).map((one) => one.offset),
    );
  });
}

function timeTests(suite: Suite): void {
  it("finds the first offset at or after a time, in batches and inside them", async () => {
    const log = suite.log();
    const name = await topic(suite);
    for (let i = 0; i < 6; i++) {
      await log.append(
        name,
        [0, 1, 2].map((j) => record("x", { timestamp: T0 + (i * 3 + j) * 100 })),
      );
    }
    const all = await readAll(log, name);
    const { next } = await rangeOf(log, name);
    assert.equal(await log.offsetForTime(name, 0, T0 - 1000), all[0]!.offset);
    for (const i of [0, 1, 2, 3, 10, 17]) {
      assert.equal(await log.offsetForTime(name, 0, T0 + i * 100), all[i]!.offset, `at ${i}`);
      assert.equal(await log.offsetForTime(name, 0, T0 + i * 100 - 50), all[i]!.offset, `just before ${i}`);
    }
    assert.equal(await log.offsetForTime(name, 0, T0 + 1701), next, "the end when there is none");
  });

  it("finds the first such offset also when times go back and forth", async () => {
    const log = suite.log();
    const name = await topic(suite);
    const times = [
      [100, 500],
      [200, 300],
      [400, 600],
      [50, 60],
      [700, 10],
    ];
    for (const batch of times)
      await log.append(
        name,
        batch.map((ms) => record("x", { timestamp: T0 + ms })),
      );
    const all = await readAll(log, name);
    const { next } = await rangeOf(log, name);
    for (const wanted of [0, 10, 100, 101, 250, 500, 501, 600, 601, 700, 701]) {
      const first = all.find((one) => one.timestamp >= T0 + wanted);
      assert.equal(await log.offsetForTime(name, 0, T0 + wanted), first?.offset ?? next, `at ${wanted}`);
    }
  });

  it("gives the end for an empty partition", async () => {
    const log = suite.log();
    const name = await topic(suite);
    assert.equal(await log.offsetForTime(name, 0, T0), (await rangeOf(log, name)).next);
  });
}

function groupTests(suite: Suite): void {
  it("keeps a committed offset for each group, topic and partition", async () => {
    const log = suite.log();
    const name = await topic(suite, 2);
    const other = await topic(suite, 2);
    const [g1, g2] = [unique("group"), unique("group")];
    for (let i = 0; i < 40; i++) await log.append(name, [record(`v${i}`, { key: `k${i}` })]);
    assert.equal(await log.committed(g1, name, 0), undefined);
    await log.commit(g1, name, 0, 3);
    await log.commit(g1, name, 1, 5);
    await log.commit(g2, name, 0, 1);
    await log.commit(g1, name, 0, 4);
    assert.equal(await log.committed(g1, name, 0), 4);
    assert.equal(await log.committed(g1, name, 1), 5);
    assert.equal(await log.committed(g2, name, 0), 1);
    assert.equal(await log.committed(g2, name, 1), undefined);
    assert.equal(await log.committed(g1, other, 0), undefined);
    await log.commit(g1, name, 0, 2);
    assert.equal(await log.committed(g1, name, 0), 2, "a commit may go back");
  });
}

/** A handler that notes everything, and checks that calls for one partition never overlap. */
class Recorder implements PartitionHandler {
  readonly events: string[] = [];
  readonly seen = new Map<number, LogRecord[]>();
  readonly fell: [number, Offset, Offset][] = [];
  overlaps = 0;
  batches = 0;
  readonly #running = new Set<number>();
  readonly #start: (partition: number) => Offset | Promise<Offset>;
  readonly #work: (partition: number, records: LogRecord[]) => Promise<void> | void;

  constructor(
    start: (partition: number) => Offset | Promise<Offset> = () => 0,
    work: (partition: number, records: LogRecord[]) => Promise<void> | void = () => {},
  ) {
    this.#start = start;
    this.#work = work;
  }

  assigned(partition: number): Promise<Offset> {
    return this.#alone(partition, async () => {
      this.events.push(`assigned ${partition}`);
      return this.#start(partition);
    });
  }

  batch(partition: number, records: LogRecord[]): Promise<void> {
    return this.#alone(partition, async () => {
      this.batches++;
      this.events.push(`batch ${partition}`);
      const list = this.seen.get(partition) ?? [];
      this.seen.set(partition, list);
      list.push(...records.map(keep));
      await this.#work(partition, records);
      this.events.push(`handled ${partition}`);
    });
  }

  revoked(partition: number, why: string): Promise<void> {
    return this.#alone(partition, async () => {
      this.events.push(`revoked ${partition} ${why}`);
    });
  }

  fellBehind(partition: number, wanted: Offset, earliest: Offset): void {
    this.fell.push([partition, wanted, earliest]);
  }

  total(): number {
    let sum = 0;
    for (const list of this.seen.values()) sum += list.length;
    return sum;
  }

  async #alone<T>(partition: number, work: () => Promise<T>): Promise<T> {
    if (this.#running.has(partition)) this.overlaps++;
    this.#running.add(partition);
    try {
      return await work();
    } finally {
      this.#running.delete(partition);
    }
  }
}

function subscribeTests(suite: Suite): void {
  it("hands every record of every partition to its handler, in order, once, and follows", async () => {
    const log = suite.log();
    const name = await topic(suite, 3);
    const keyed = (from: number, to: number) => texts(from, to).map((text) => record(text, { key: text }));
    await log.append(name, keyed(0, 300));
    const earliest = new Map((await log.ranges(name)).map((range) => [range.partition, range.earliest]));
    const handler = new Recorder((partition) => earliest.get(partition)!);
    const subscription = await log.subscribe(unique("group"), name, handler);
    await until("the first records", () => handler.total() === 300);
    assert.deepEqual([...subscription.assigned()].sort(), [0, 1, 2]);
    for (let i = 300; i < 400; i += 10) await log.append(name, keyed(i, i + 10));
    await until("the later records", () => handler.total() === 400);
    await until("no lag", async () => (await subscription.lag()) === 0);
    await subscription.close();
    await within("done", subscription.done);
    assert.equal(handler.overlaps, 0);
    for (let partition = 0; partition < 3; partition++) {
      const expected = (await readAll(log, name, partition)).map((one) => [one.offset, textOf(one), one.key]);
      assert.deepEqual(
        handler.seen.get(partition)?.map((one) => [one.offset, textOf(one), one.key]),
        expected,
      );
      const events = handler.events.filter((event) => event.split(" ")[1] === String(partition));
      assert.equal(events[0], `assigned ${partition}`);
      assert.equal(events.at(-1), `revoked ${partition} closing`);
    }
  });

  it("starts at the offset that `assigned` returned", async () => {
    const log = suite.log();
    const name = await topic(suite);
    await log.append(
      name,
      texts(0, 30).map((text) => record(text)),
    );
    const all = await readAll(log, name);
    const handler = new Recorder(() => all[13]!.offset);
    const subscription = await log.subscribe(unique("group"), name, handler);
    await until("the records", () => handler.total() >= 17);
    await subscription.close();
    assert.deepEqual(handler.seen.get(0)?.map(textOf), texts(13, 30));
  });

  it("resumes where the group committed, each record once", async () => {
    const log = suite.log();
    const name = await topic(suite);
    const group = unique("group");
    await log.append(
      name,
      texts(0, 25).map((text) => record(text)),
    );
    const { earliest } = await rangeOf(log, name);
    const start = async (partition: number) => (await log.committed(group, name, partition)) ?? earliest;
    const commit = async (partition: number, records: LogRecord[]) =>
      log.commit(group, name, partition, records.at(-1)!.offset + 1);
    const first = new Recorder(start, commit);
    const one = await log.subscribe(group, name, first);
    await until("the first 25", () => first.total() >= 25);
    await one.close();
    await log.append(
      name,
      texts(25, 40).map((text) => record(text)),
    );
    const second = new Recorder(start, commit);
    const two = await log.subscribe(group, name, second);
    await until("the other 15", () => second.total() >= 15);
    await two.close();
    assert.deepEqual(first.seen.get(0)?.map(textOf), texts(0, 25));
    assert.deepEqual(second.seen.get(0)?.map(textOf), texts(25, 40));
  });

  it("gives no further batch while one is being handled", async () => {
    const log = suite.log();
    const name = await topic(suite);
    const { earliest } = await rangeOf(log, name);
    const door = gate();
    const handler = new Recorder(
      () => earliest,
      () => door.opened,
    );
    const subscription = await log.subscribe(unique("group"), name, handler);
    await log.append(name, [record("v0")]);
    await until("the first batch", () => handler.batches === 1);
    for (let i = 1; i < 6; i++) {
      await log.append(name, [record(`v${i}`)]);
      assert.equal((await readAll(log, name)).length, i + 1);
    }
    assert.ok((await subscription.lag()) >= 5, "what waits behind it is lag");
    assert.equal(handler.batches, 1);
    door.open();
    await until("the rest", () => handler.total() === 6);
    await subscription.close();
    assert.equal(handler.overlaps, 0);
    assert.deepEqual(handler.seen.get(0)?.map(textOf), texts(0, 6));
  });

  it("waits for the running batch when it is closed, then revokes", async () => {
    const log = suite.log();
    const name = await topic(suite);
    const { earliest } = await rangeOf(log, name);
    const door = gate();
    const handler = new Recorder(
      () => earliest,
      () => door.opened,
    );
    const subscription = await log.subscribe(unique("group"), name, handler);
    await log.append(name, [record("v0")]);
    await until("the batch", () => handler.batches === 1);
    await log.append(name, [record("v1")]);
    let closed = false;
    const closing = subscription.close().then(() => {
      closed = true;
    });
    await readAll(log, name);
    assert.equal(closed, false, "closed while a batch was being handled");
    door.open();
    await within("close", closing);
    await within("done", subscription.done);
    assert.deepEqual(handler.events, ["assigned 0", "batch 0", "handled 0", "revoked 0 closing"]);
    await subscription.close();
  });

  it("ends with the handler's error", async () => {
    const log = suite.log();
    const name = await topic(suite);
    const { earliest } = await rangeOf(log, name);
    await log.append(
      name,
      texts(0, 3).map((text) => record(text)),
    );
    const failure = new Error("handler failed");
    const handler = new Recorder(
      () => earliest,
      () => Promise.reject(failure),
    );
    const subscription = await log.subscribe(unique("group"), name, handler);
    const outcome = await within(
      "done",
      subscription.done.then(
        () => "resolved",
        (error: unknown) => error,
      ),
    );
    assert.equal(outcome, failure);
    assert.equal(handler.batches, 1);
    await subscription.close();
  });

  it("ends with the error of `assigned`", async () => {
    const log = suite.log();
    const name = await topic(suite);
    const failure = new Error("restore failed");
    const handler = new Recorder(() => Promise.reject(failure));
    const subscription = await log.subscribe(unique("group"), name, handler);
    const outcome = await within(
      "done",
      subscription.done.then(
        () => "resolved",
        (error: unknown) => error,
      ),
    );
    assert.equal(outcome, failure);
    await subscription.close();
  });

  it("goes on at the earliest record when retention overtook the group", async (t: TestContext) => {
    const deleteBefore = suite.supports().deleteBefore;
    if (deleteBefore === undefined) return t.skip("records cannot be deleted");
    const log = suite.log();
    const name = await topic(suite);
    for (let i = 0; i < 5; i++)
      await log.append(
        name,
        texts(i * 4, i * 4 + 4).map((text) => record(text)),
      );
    const all = await readAll(log, name);
    await deleteBefore(name, 0, all[12]!.offset);
    const { earliest } = await rangeOf(log, name);
    const handler = new Recorder(() => all[1]!.offset);
    const subscription = await log.subscribe(unique("group"), name, handler);
    const left = all.filter((one) => one.offset >= earliest).map(textOf);
    await until("what is left", () => handler.total() >= left.length);
    await subscription.close();
    assert.deepEqual(handler.seen.get(0)?.map(textOf), left);
    assert.deepEqual(handler.fell, [[0, all[1]!.offset, earliest]]);
  });
}

function lifecycleTests(suite: Suite): void {
  it("keeps topics, records, times and committed offsets over a reopen", async (t: TestContext) => {
    const name = await topic(suite, 2);
    const group = unique("group");
    const sent = texts(0, 50).map((text, i) => record(text, { key: text, timestamp: T0 + i }));
    await suite.log().append(name, sent);
    await suite.log().commit(group, name, 1, 7);
    const before = [await readAll(suite.log(), name, 0), await readAll(suite.log(), name, 1)];
    const ranges = await suite.log().ranges(name);
    if (!(await suite.reopen())) return t.skip("cannot be reopened");
    const log = suite.log();
    assert.deepEqual([await readAll(log, name, 0), await readAll(log, name, 1)], before);
    assert.deepEqual(await log.ranges(name), ranges);
    assert.equal(await log.committed(group, name, 1), 7);
    await log.append(name, [record("after", { key: "v0" })]);
    const partition = before[0]!.some((one) => one.key === "v0") ? 0 : 1;
    const last = (await readAll(log, name, partition)).at(-1)!;
    assert.equal(textOf(last), "after");
    assert.ok(last.offset > before[partition]!.at(-1)!.offset);
  });

  it("finishes what it accepted when it is closed, ends what runs, and then says it is closed", async (t: TestContext) => {
    const log = suite.log();
    const name = await topic(suite);
    const { earliest } = await rangeOf(log, name);
    const handler = new Recorder(() => earliest);
    const subscription = await log.subscribe(unique("group"), name, handler);
    const follower = (async () => {
      for await (const _ of log.read(name, 0, earliest, { follow: true }));
    })().catch((error: unknown) => assert.ok(hasCode(error, "LOG_CLOSED"), String(error)));
    await until("assigned", () => handler.events.length > 0);
    const accepted = texts(0, 20).map((text) => log.append(name, [record(text)]));
    await within("close", log.close());
    await Promise.all(accepted);
    await within("the subscription ends", subscription.done);
    await within("the follower ends", follower);
    assert.equal(handler.events.at(-1), "revoked 0 closing");
    await log.close();
    await rejectsWith("LOG_CLOSED", () => log.append(name, [record("late")]));
    await rejectsWith("LOG_CLOSED", () => log.ranges(name));
    await rejectsWith("LOG_CLOSED", () => readAll(log, name, 0, earliest));
    await rejectsWith("LOG_CLOSED", () => log.subscribe(unique("group"), name, new Recorder()));
    if (!(await suite.reopen())) return t.skip("cannot be reopened to look");
    assert.deepEqual((await readAll(suite.log(), name)).map(textOf), texts(0, 20));
  });
}
