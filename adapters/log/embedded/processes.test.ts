/**
 * Several processes on one log directory, and processes that are killed.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "../../../contracts/errors.js";
import type { PartitionHandler } from "../../../contracts/ports/log.js";
import { openLog, readAll, startChild, tempDir, textOf } from "./testing/harness.js";

const KILLS = 6;

const idle: PartitionHandler = {
  assigned: async () => 0,
  batch: async () => {},
  revoked: async () => {},
  fellBehind: () => {},
};

test("every acknowledged record is there once and in order after kill -9, time after time", async (t) => {
  const dir = await tempDir(t);
  const first = await openLog(t, dir);
  await first.ensureTopics([{ name: "t", partitions: 1 }]);
  await first.close();
  const acked = new Set<string>();
  for (let round = 0; round < KILLS; round++) {
    const child = startChild(t, ["append", dir, "t", "1000000", "20", `r${round}`]);
    await child.line(`acked ${30 + round * 17}`);
    child.process.kill("SIGKILL");
    const { signal } = await child.ended;
    assert.equal(signal, "SIGKILL");
    for (const line of child.lines) acked.add(`r${round}:${line.slice("acked ".length)}`);

    const log = await openLog(t, dir);
    const records = await readAll(log, "t");
    const seen = new Map<string, number>();
    for (const [i, record] of records.entries()) {
      assert.equal(record.offset, i, "offsets are contiguous");
      const [name, batch, at] = textOf(record).split(":");
      const call = `${name}:${batch}`;
      assert.equal(Number(at), seen.get(call) ?? 0, `records of ${call} are in order and once`);
      seen.set(call, Number(at) + 1);
    }
    for (const call of acked)
      assert.equal(seen.get(call), 20, `acknowledged ${call} is missing (round ${round})`);
    for (const [call, count] of seen) assert.equal(count, 20, `${call} is torn`);
    assert.deepEqual(await log.ranges("t"), [{ partition: 0, earliest: 0, next: records.length }]);
    await log.close();
  }
});

test("a process killed in the middle of a commit does not stop the others", async (t) => {
  const dir = await tempDir(t);
  const log = await openLog(t, dir);
  await log.ensureTopics([{ name: "t", partitions: 1 }]);
  let mine = 0;
  for (let round = 0; round < 4; round++) {
    const child = startChild(t, ["append", dir, "t", "1000000", "20", `r${round}`]);
    const enough = child.line(`acked ${20 + round * 7}`);
    let waiting = true;
    void enough.finally(() => {
      waiting = false;
    });
    const append = () => log.append("t", [{ value: Buffer.from(`mine:${mine++}`), timestamp: 1 }]);
    while (waiting) await append();
    child.process.kill("SIGKILL");
    await Promise.all([append(), append(), append()]);
    await child.ended;
    await append();
  }
  const texts = (await readAll(log, "t")).map(textOf);
  assert.deepEqual(
    texts.filter((text) => text.startsWith("mine")),
    Array.from({ length: mine }, (_, i) => `mine:${i}`),
  );
});

test("two processes append at once: offsets are contiguous, nothing is lost, a follower sees both", async (t) => {
  const dir = await tempDir(t);
  const log = await openLog(t, dir, { pollMs: 5 });
  await log.ensureTopics([{ name: "t", partitions: 1 }]);
  const stop = new AbortController();
  const followed: number[] = [];
  const total = 2 * 150 * 10;
  const follower = (async () => {
    for await (const batch of log.read("t", 0, 0, { follow: true, signal: stop.signal })) {
      for (const record of batch) followed.push(record.offset);
      if (followed.length >= total) return;
    }
  })();
  const child = startChild(t, ["append", dir, "t", "150", "10", "child"]);
  await child.line("acked");
  for (let batch = 0; batch < 150; batch++) {
    await log.append(
      "t",
      Array.from({ length: 10 }, (_, i) => ({
        value: Buffer.from(`parent:${batch}:${i}`),
        timestamp: batch,
      })),
    );
  }
  await child.line("done");
  await follower;
  stop.abort();
  assert.deepEqual(
    followed,
    Array.from({ length: total }, (_, i) => i),
  );
  const records = await readAll(log, "t");
  const texts = new Set(records.map(textOf));
  assert.equal(texts.size, total);
  const parents = records.map(textOf).filter((text) => text.startsWith("parent"));
  assert.deepEqual(
    parents,
    Array.from({ length: 1500 }, (_, i) => `parent:${Math.floor(i / 10)}:${i % 10}`),
  );
  const after = startChild(t, ["append", dir, "t", "1", "1", "late"]);
  await after.line("done");
  assert.equal((await log.ranges("t"))[0]!.next, total + 1, "another process's append is seen at once");
});

test("a group has one live subscriber over all processes; a dead one's place is free at once", async (t) => {
  const dir = await tempDir(t);
  const log = await openLog(t, dir);
  await log.ensureTopics([{ name: "t", partitions: 1 }]);
  const child = startChild(t, ["subscribe", dir, "g", "t"]);
  await child.line("subscribed");
  await assert.rejects(log.subscribe("g", "t", idle), (error: Error) => {
    assert.ok(hasCode(error, "STATE_LOCKED"), String(error));
    assert.match(error.message, new RegExp(`\\b${child.process.pid}\\b`));
    return true;
  });
  await (await log.subscribe("other group", "t", idle)).close();
  child.process.kill("SIGKILL");
  await child.ended;
  const mine = await log.subscribe("g", "t", idle);
  await assert.rejects(log.subscribe("g", "t", idle), (error) => hasCode(error, "STATE_LOCKED"));
  await mine.close();
  await (await log.subscribe("g", "t", idle)).close();
});
