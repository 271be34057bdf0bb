/**
 * The embedded store and checkpoints against their contracts, and what only they promise: one transaction, other
 * processes, crashes, damaged files.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, describe, it } from "node:test";
import { outputsThenCheckpoint } from "../../adapters/checkpoint/outputs-first.js";
import { openEmbeddedState } from "../../adapters/store/embedded/index.js";
import { hasCode } from "../../contracts/errors.js";
import { createLogger } from "../../runtime/logger.js";
import { createRegistry } from "../../runtime/metrics.js";
import { checkpointContractSuite } from "../../testkit/contracts/checkpoint-suite.js";
import { alert, rollup, storeContractSuite, summary } from "../../testkit/contracts/store-suite.js";
import { scriptCommand } from "../../testkit/script-command.js";

const logger = createLogger("error");
const dirs: string[] = [];
const NOTHING = { rollups: [], alerts: [], devices: [] };
const TASK = { group: "g", topic: "t", partition: 0 };

function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "sluice-store-"));
  dirs.push(dir);
  return dir;
}

after(() => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});

storeContractSuite("embedded", async () => openEmbeddedState({ dir: newDir(), logger }));

checkpointContractSuite("embedded", async () => {
  const dir = newDir();
  const state = openEmbeddedState({ dir, logger });
  const rival = openEmbeddedState({ dir, logger });
  return {
    ...state,
    rival: rival.checkpoints,
    close: async () => {
      await state.close();
      await rival.close();
    },
  };
});

checkpointContractSuite("embedded, outputs first", async () => {
  const [dir, storeDir] = [newDir(), newDir()];
  const state = openEmbeddedState({ dir, logger });
  const rival = openEmbeddedState({ dir, logger });
  const target = openEmbeddedState({ dir: storeDir, logger });
  const onRejected = async () => assert.fail("nothing is rejected");
  return {
    checkpoints: outputsThenCheckpoint(state.checkpoints, target.store, { onRejected }),
    store: target.store,
    rival: outputsThenCheckpoint(rival.checkpoints, target.store, { onRejected }),
    close: async () => {
      for (const opened of [state, rival, target]) await opened.close();
    },
  };
});

describe("embedded store", () => {
  it("writes no output with a checkpoint that is fenced", async () => {
    const dir = newDir();
    const [stale, owner] = [openEmbeddedState({ dir, logger }), openEmbeddedState({ dir, logger })];
    await stale.checkpoints.restore(TASK);
    await owner.checkpoints.restore(TASK);
    const outputs = { rollups: [rollup("d")], alerts: [alert("d", "id")], devices: [summary("d")] };
    const late = stale.checkpoints.commit(TASK, { offset: 9, state: new Map() }, outputs);
    await assert.rejects(late, (error) => hasCode(error, "FENCED"));
    assert.deepEqual(await owner.store.devices(), []);
    assert.deepEqual(await owner.store.alerts({}), []);
    await stale.close();
    await owner.close();
  });

  it("keeps what it acknowledged when the process is killed, and all of it or nothing", async () => {
    const dir = newDir();
    for (let round = 0; round < 3; round++) {
      const child = startWriter(dir, "checkpoints", "d");
      const acknowledged = await linesBeforeKill(child, 20);
      const state = openEmbeddedState({ dir, logger });
      const { offset = 0, get } = await state.checkpoints.restore(TASK);
      assert.ok(offset >= acknowledged, `offset ${offset} is behind the acknowledged ${acknowledged}`);
      assert.equal(Buffer.from(get("offset")!).toString(), String(offset));
      const range = { device: "d", metric: "temperature", resolution: "10s", from: 0, to: 1e15 };
      assert.equal((await state.store.rollups(range)).length, offset);
      assert.deepEqual(
        (await state.store.devices()).map(({ readings }) => readings),
        [offset],
      );
      await state.close();
    }
  });

  for (const what of ["store", "checkpoints"] as const) {
    it(`survives a full disk, and keeps what it acknowledged: ${what}`, async () => {
      const dir = newDir();
      // The limit on the size of a file stands for the end of the disk: a write beyond it fails.
      const child = startWriter(dir, what, "d", "ulimit -f 400; exec");
      const lines: string[] = [];
      for await (const line of createInterface({ input: child.stdout! })) lines.push(line);
      if (child.exitCode === null) await once(child, "exit");
      assert.equal(child.exitCode, 0);
      assert.equal(lines.pop(), "STORE_UNAVAILABLE");
      const acknowledged = Number(lines.pop());
      const state = openEmbeddedState({ dir, logger });
      const range = { device: "d", metric: "temperature", resolution: "10s", from: 0, to: 1e15 };
      assert.equal((await state.store.rollups(range)).length, acknowledged);
      const { offset } = await state.checkpoints.restore(TASK);
      assert.equal(offset, what === "store" ? undefined : acknowledged);
      await state.store.write({ ...NOTHING, rollups: [rollup("d", { start: 1e9 })] });
      await state.close();
    });
  }

  it("takes writes of several processes at once", async () => {
    const dir = newDir();
    const state = openEmbeddedState({ dir, logger });
    const children = [startWriter(dir, "store", "c0"), startWriter(dir, "store", "c1")];
    let own = 0;
    const ready = children.map((child) => linesBeforeKill(child, 30));
    while (own < 30) {
      const row = rollup("own", { start: own * 10_000 });
      await state.store.write({
        ...NOTHING,
        rollups: [row],
        alerts: [alert("own", "shared", { updatedAt: own })],
      });
      own++;
    }
    const counts = [...(await Promise.all(ready)), own];
    for (const [i, device] of ["c0", "c1", "own"].entries()) {
      const range = { device, metric: "temperature", resolution: "10s", from: 0, to: 1e15 };
      assert.ok((await state.store.rollups(range)).length >= counts[i]!, `${device} lost rollups`);
    }
    assert.equal(
      (await state.store.alerts({})).length,
      1,
      "an alert that three processes write is one alert",
    );
    await state.close();
  });

  it("forgets rollups that retention is over for, by resolution", async () => {
    const state = openEmbeddedState({ dir: newDir(), logger });
    const coarse = rollup("d", { resolution: "1m", start: 0 });
    const fine = Array.from({ length: 12_000 }, (_, i) => rollup("d", { start: i * 10_000 }));
    await state.store.write({ ...NOTHING, rollups: [...fine, coarse] });
    assert.equal(await state.store.retain({ "10s": 11_990 * 10_000, "1h": 1e15 }), 11_990);
    const range = { device: "d", metric: "temperature", from: 0, to: 1e15 };
    assert.deepEqual(await state.store.rollups({ ...range, resolution: "10s" }), fine.slice(11_990));
    assert.deepEqual(await state.store.rollups({ ...range, resolution: "1m" }), [coarse]);
    await state.close();
  });

  it("refuses a start that is no window's, and writes none of that batch", async () => {
    const state = openEmbeddedState({ dir: newDir(), logger });
    const rollups = [rollup("d", { start: 0 }), rollup("d", { start: 1 })];
    await assert.rejects(state.store.write({ ...NOTHING, rollups }), /not the start of a 10s window/);
    const range = { device: "d", metric: "temperature", resolution: "10s", from: 0, to: 1e15 };
    assert.deepEqual(await state.store.rollups(range), []);
    await state.close();
  });

  it("says that it is closed", async () => {
    const state = openEmbeddedState({ dir: newDir(), logger });
    await state.close();
    await state.close();
    await assert.rejects(state.store.write({ ...NOTHING, rollups: [rollup("d")] }), unavailable);
    await assert.rejects(state.store.devices(), unavailable);
    await assert.rejects(state.store.check(), unavailable);
  });

  it("counts rows and errors", async () => {
    const registry = createRegistry();
    const state = openEmbeddedState({ dir: newDir(), logger, registry });
    await state.store.write({ rollups: [rollup("d"), rollup("e")], alerts: [alert("d", "i")], devices: [] });
    await state.checkpoints.commit(
      TASK,
      { offset: 1, state: new Map() },
      { ...NOTHING, rollups: [rollup("d")] },
    );
    await state.close();
    await assert.rejects(state.store.write({ ...NOTHING, rollups: [rollup("d")] }));
    const text = await registry.metrics();
    assert.match(text, /sluice_store_rows_written_total\{kind="rollup"\} 3/);
    assert.match(text, /sluice_store_rows_written_total\{kind="alert"\} 1/);
    assert.match(text, /sluice_store_write_seconds_count 2/);
    assert.match(text, /sluice_store_errors_total 1/);
  });
});

describe("embedded state file", () => {
  it("is refused as corrupt, by path, when it is damaged", async () => {
    const damages: [string, (file: string) => void][] = [
      ["not LMDB", (file) => writeFileSync(file, "these are not the bytes of a database".repeat(500))],
      ["zeroed meta pages", (file) => overwrite(file, 0, 8192)],
      ["cut short", (file) => truncateSync(file, 12_288)],
    ];
    for (const [what, damage] of damages) {
      const dir = newDir();
      const state = openEmbeddedState({ dir, logger });
      const rollups = Array.from({ length: 2_000 }, (_, i) => rollup("d", { start: i * 10_000 }));
      await state.store.write({ ...NOTHING, rollups });
      await state.close();
      const file = join(dir, "data.mdb");
      damage(file);
      assert.throws(
        () => openEmbeddedState({ dir, logger }),
        (error: Error) => hasCode(error, "STATE_CORRUPT") && error.message.includes(file),
        what,
      );
    }
  });

  it("cannot be opened where no directory can be made", () => {
    const dir = newDir();
    writeFileSync(join(dir, "file"), "");
    assert.throws(() => openEmbeddedState({ dir: join(dir, "file", "x"), logger }), unavailable);
  });
});

function unavailable(error: unknown): boolean {
  return hasCode(error, "STORE_UNAVAILABLE");
}

function overwrite(file: string, from: number, to: number): void {
  const content = readFileSync(file);
  writeFileSync(file, content.fill(0, from, to));
}

/** A process that writes rows or commits checkpoints without end, and prints how many are acknowledged. */
function startWriter(
  dir: string,
  what: "store" | "checkpoints",
  device: string,
  prefix = "exec",
): ChildProcess {
  const args = [...scriptCommand(import.meta.url, "store-embedded-writer"), dir, what, device];
  return spawn("sh", ["-c", `${prefix} "$0" "$@"`, ...args], { stdio: ["ignore", "pipe", "ignore"] });
}

/** Waits until the child has acknowledged `count`, kills it, and resolves with the last number it printed. */
async function linesBeforeKill(child: ChildProcess, count: number): Promise<number> {
  let last = 0;
  let first: number | undefined;
  for await (const line of createInterface({ input: child.stdout! })) {
    last = Number(line);
    first ??= last;
    if (last >= first + count) child.kill("SIGKILL");
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  assert.equal(child.signalCode, "SIGKILL", "the writer ended by itself");
  return last;
}
