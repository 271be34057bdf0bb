/**
 * The log contract: reading by offset and by time, following, retained ranges.
 */
import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import {
  rangeOf,
  readAll,
  record,
  rejectsWith,
  type Suite,
  T0,
  textOf,
  texts,
  topic,
  until,
  within,
} from "./log-suite-support.js";

export function readTests(suite: Suite): void {
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

export function timeTests(suite: Suite): void {
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
