import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "../../../contracts/errors.js";
import { openLog, readAll, tempDir, textOf } from "./testing/harness.js";

test("a group is cut into batches of bounded size, in order", async (t) => {
  const log = await openLog(t, await tempDir(t), { maxBatchBytes: 10_000, maxGroupBytes: 25_000 });
  await log.ensureTopics([{ name: "t", partitions: 1 }]);
  const calls: Promise<void>[] = [];
  for (let call = 0; call < 40; call++) {
    calls.push(
      log.append("t", [
        { value: Buffer.from(`${call}:a`.padEnd(call === 7 ? 30_000 : 900)), timestamp: 1 },
        { value: Buffer.from(`${call}:b`.padEnd(900)), timestamp: 1 },
      ]),
    );
  }
  await Promise.all(calls);
  assert.deepEqual(
    (await readAll(log, "t")).map((record) => textOf(record).trimEnd()),
    Array.from({ length: 80 }, (_, i) => `${i >> 1}:${i % 2 === 0 ? "a" : "b"}`),
  );
  // Deletion is by whole batch: it shows where they end.
  const ends = new Set<number>();
  for (let offset = 1; offset <= 80; offset++) {
    await log.deleteBefore("t", 0, offset);
    ends.add((await log.ranges("t"))[0]!.earliest);
  }
  assert.ok(ends.size > 8, `${ends.size} batches`);
});

test("a bad record fails its own call, not those that share its commit", async (t) => {
  const log = await openLog(t, await tempDir(t), { maxRecordBytes: 1000 });
  await log.ensureTopics([{ name: "t", partitions: 1 }]);
  const good = (text: string) => log.append("t", [{ value: Buffer.from(text), timestamp: 1 }]);
  const results = await Promise.allSettled([
    good("first"),
    log.append("t", [{ value: Buffer.from("x"), timestamp: Number.NaN }]),
    log.append("t", [{ value: Buffer.alloc(0), timestamp: 1, headers: { h: "x".repeat(1000) } }]),
    good("last"),
  ]);
  assert.deepEqual(
    results.map((result) => result.status),
    ["fulfilled", "rejected", "rejected", "fulfilled"],
  );
  assert.ok(results[1]!.status === "rejected" && results[1]!.reason instanceof TypeError);
  assert.ok(results[2]!.status === "rejected" && hasCode(results[2]!.reason, "LOG_RECORD_TOO_LARGE"));
  assert.deepEqual((await readAll(log, "t")).map(textOf), ["first", "last"]);
});

test("two logs of one process over one directory see each other, and close one by one", async (t) => {
  const dir = await tempDir(t);
  const one = await openLog(t, dir);
  const two = await openLog(t, dir, { pollMs: 5 });
  await one.ensureTopics([{ name: "t", partitions: 1 }]);
  const first = (async () => {
    for await (const batch of two.read("t", 0, 0, { follow: true })) return batch.map(textOf);
    return [];
  })();
  await one.append("t", [{ value: Buffer.from("a"), timestamp: 1 }]);
  assert.deepEqual(await first, ["a"]);
  await Promise.all([
    one.append("t", [{ value: Buffer.from("b"), timestamp: 1 }]),
    two.append("t", [{ value: Buffer.from("c"), timestamp: 1 }]),
  ]);
  await one.close();
  await two.append("t", [{ value: Buffer.from("d"), timestamp: 1 }]);
  assert.deepEqual((await readAll(two, "t")).map(textOf).sort(), ["a", "b", "c", "d"]);
});

test("a subscriber that comes while the log closes is turned away and leaves no lease behind", async (t) => {
  const dir = await tempDir(t);
  const log = await openLog(t, dir);
  await log.ensureTopics([{ name: "t", partitions: 1 }]);
  const handler = {
    assigned: async () => 0,
    batch: async () => {},
    revoked: async () => {},
    fellBehind: () => {},
  };
  const joining = assert.rejects(log.subscribe("g", "t", handler), (error) => hasCode(error, "LOG_CLOSED"));
  await Promise.all([log.close(), joining]);
  const again = await openLog(t, dir);
  await (await again.subscribe("g", "t", handler)).close();
});
