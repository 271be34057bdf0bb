/**
 * A full disk and a damaged file.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFile, open, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { hasCode } from "../../../contracts/errors.js";
import { openLog, readAll, startChild, tempDir, textOf } from "./testing/harness.js";

const BATCHES = 50;

/** A closed log of {@link BATCHES} batches of some pages each. Returns its directory. */
async function filledLog(t: TestContext): Promise<string> {
  const dir = await tempDir(t);
  const log = await openLog(t, dir);
  await log.ensureTopics([{ name: "t", partitions: 1 }]);
  for (let i = 0; i < BATCHES; i++) {
    await log.append("t", [{ value: Buffer.alloc(20_000, 65 + (i % 26)), timestamp: i }]);
  }
  await log.close();
  return dir;
}

test("a write that does not fit is LOG_UNAVAILABLE, stores nothing, and appends work again with room", async (t) => {
  const dir = await tempDir(t);
  const log = await openLog(t, dir);
  await log.ensureTopics([{ name: "t", partitions: 1 }]);
  await log.close();
  // A limit on the size of files stands for the full disk: like it, it makes writes fail, and it can be lifted.
  const child = startChild(t, ["fill", dir, "t"], "trap '' XFSZ; ulimit -S -f 2048");
  const failed = await child.line("failed");
  assert.match(failed, /^failed LOG_UNAVAILABLE [1-9]\d*$/);
  assert.equal(await child.line("check"), "check LOG_UNAVAILABLE");
  execFileSync("prlimit", ["--pid", String(child.process.pid), "--fsize=unlimited"]);
  child.process.stdin!.write("go on\n");
  const acked = Number(failed.split(" ")[2]) + 1;
  assert.equal(await child.line("working"), `working ${acked} ${acked}`);
  assert.deepEqual(await child.ended, { code: 0, signal: null });
});

test("bytes behind the end of the file change nothing", async (t) => {
  const dir = await filledLog(t);
  await appendFile(join(dir, "log.mdb"), Buffer.alloc(10_001, 0xa5));
  const log = await openLog(t, dir);
  assert.equal((await readAll(log, "t")).length, BATCHES);
  await log.append("t", [{ value: Buffer.from("after"), timestamp: 1 }]);
  assert.equal(textOf((await readAll(log, "t")).at(-1)!), "after");
});

test("a file cut short is LOG_CORRUPT where something is missing, never a crash or a wrong record", async (t) => {
  const whole = await filledLog(t);
  const { size } = await stat(join(whole, "log.mdb"));
  const original = await readFile(join(whole, "log.mdb"));
  for (const share of [0.99, 0.9, 0.5, 0.1]) {
    const dir = await tempDir(t);
    const file = await open(join(dir, "log.mdb"), "w");
    await file.write(original);
    await file.close();
    await truncate(join(dir, "log.mdb"), Math.floor(size * share));
    let read = 0;
    try {
      const log = await openLog(t, dir);
      for await (const batch of log.read("t", 0, 0)) {
        for (const record of batch) {
          assert.deepEqual(Buffer.from(record.value), Buffer.alloc(20_000, 65 + (record.offset % 26)));
          read++;
        }
      }
      assert.fail(`read ${read} records of a log cut to ${share}`);
    } catch (error) {
      assert.ok(hasCode(error, "LOG_CORRUPT"), `cut to ${share}, after ${read} records: ${String(error)}`);
    }
  }
});

test("what is not a log, or has lost its start, is LOG_CORRUPT when it is opened", async (t) => {
  const whole = await readFile(join(await filledLog(t), "log.mdb"));
  const starts = [Buffer.alloc(100, 7), Buffer.alloc(100_000, 7), Buffer.alloc(8192)];
  const cut = [whole.subarray(0, 100), whole.subarray(0, 4096), whole.subarray(0, 8192)];
  const overwritten = [0, 4096].map((at) => Buffer.from(whole).fill(0xa5, at, at + 64));
  for (const [i, bytes] of [...starts, ...cut, ...overwritten].entries()) {
    const dir = await tempDir(t);
    await writeFile(join(dir, "log.mdb"), bytes);
    await assert.rejects(openLog(t, dir), (error) => hasCode(error, "LOG_CORRUPT"), `case ${i}`);
  }
});

test("rotten bits in a stored batch are LOG_CORRUPT when it is read; the other batches are not touched", async (t) => {
  const dir = await filledLog(t);
  const path = join(dir, "log.mdb");
  const bytes = await readFile(path);
  const victim = bytes.indexOf(Buffer.alloc(15_000, 65 + 7));
  assert.ok(victim > 0);
  const file = await open(path, "r+");
  await file.write(Buffer.from([bytes[victim + 9000]! ^ 4]), 0, 1, victim + 9000);
  await file.close();
  const log = await openLog(t, dir);
  await assert.rejects(readAll(log, "t", 0, 7), (error) => hasCode(error, "LOG_CORRUPT"));
  assert.equal((await readAll(log, "t", 0, 8)).length, BATCHES - 8);
});
