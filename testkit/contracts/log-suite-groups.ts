/**
 * The log contract: committed offsets and subscriptions.
 */
import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import type { LogRecord } from "../../contracts/ports/log.js";
import {
  gate,
  Recorder,
  rangeOf,
  readAll,
  record,
  type Suite,
  textOf,
  texts,
  topic,
  unique,
  until,
  within,
} from "./log-suite-support.js";

export function groupTests(suite: Suite): void {
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

export function subscribeTests(suite: Suite): void {
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
