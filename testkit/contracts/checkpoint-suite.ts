/**
 * The contract of the Checkpoints port, run over every adapter together with the store that its commits write to.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { hasCode } from "../../contracts/errors.js";
import type { Checkpoint, Checkpoints, TaskId } from "../../contracts/ports/checkpoint.js";
import type { Store, StoreBatch } from "../../contracts/ports/store.js";
import { alert, eventually, rollup, summary, unique } from "./store-suite.js";

export interface OpenCheckpoints {
  checkpoints: Checkpoints;
  store: Store;
  /** A second owner of the same tasks, as another process would be. */
  rival: Checkpoints;
  close(): Promise<void>;
}

const NOTHING: StoreBatch = { rollups: [], alerts: [], devices: [] };

export function checkpointContractSuite(name: string, open: () => Promise<OpenCheckpoints>): void {
  describe(`checkpoint contract: ${name}`, () => {
    let opened: OpenCheckpoints;
    let checkpoints: Checkpoints;

    before(async () => {
      opened = await open();
      checkpoints = opened.checkpoints;
    });
    after(() => opened?.close());

    it("restores nothing for a task that never committed", async () => {
      const restored = await checkpoints.restore(task());
      assert.equal(restored.offset, undefined);
      assert.equal(restored.get("anything"), undefined);
      assert.deepEqual([...restored.entries()], []);
    });

    it("restores the offset and every entry, byte for byte", async () => {
      const id = task();
      await checkpoints.restore(id);
      const allBytes = Uint8Array.from({ length: 256 }, (_, i) => i);
      const state = {
        b: new Uint8Array(0),
        a: allBytes,
        "device/metric:é🔥": new Uint8Array(100_000).fill(7),
      };
      await checkpoints.commit(id, change(2 ** 53 - 1, state), NOTHING);
      const restored = await checkpoints.restore(id);
      assert.equal(restored.offset, 2 ** 53 - 1);
      assert.deepEqual(contents(restored.entries()), contents(Object.entries(state)));
      for (const [key, value] of Object.entries(state))
        assert.deepEqual(bytes(restored.get(key)), bytes(value));
    });

    it("changes only the touched entries, and deletes those that are null", async () => {
      const id = task();
      await checkpoints.restore(id);
      await checkpoints.commit(id, change(10, { kept: one, changed: one, gone: one }), NOTHING);
      await checkpoints.commit(
        id,
        change(20, { changed: two, gone: null, added: two, never: null }),
        NOTHING,
      );
      const restored = await checkpoints.restore(id);
      assert.equal(restored.offset, 20);
      const expected = { added: two, changed: two, kept: one };
      assert.deepEqual(contents(restored.entries()), contents(Object.entries(expected)));
      assert.equal(restored.get("gone"), undefined);
    });

    it("keeps tasks apart, also when their names begin alike", async () => {
      const group = unique("group");
      const ids = [
        { group, topic: "t", partition: 1 },
        { group, topic: "t", partition: 10 },
        { group, topic: "t1", partition: 0 },
        { group: `${group}t`, topic: "t", partition: 1 },
      ];
      for (const [i, id] of ids.entries()) {
        await checkpoints.restore(id);
        await checkpoints.commit(id, change(i, { key: Uint8Array.of(i) }), NOTHING);
      }
      for (const [i, id] of ids.entries()) {
        const restored = await checkpoints.restore(id);
        assert.equal(restored.offset, i);
        assert.deepEqual(contents(restored.entries()), contents([["key", Uint8Array.of(i)]]));
      }
    });

    it("walks a state of many entries in full", async () => {
      const id = task();
      await checkpoints.restore(id);
      const state = Object.fromEntries(
        Array.from({ length: 2_500 }, (_, i) => [`key${i}`, Uint8Array.of(i & 255)]),
      );
      await checkpoints.commit(id, change(1, state), NOTHING);
      const restored = await checkpoints.restore(id);
      assert.deepEqual(contents(restored.entries()), contents(Object.entries(state)));
    });

    it("writes the outputs with the checkpoint", async () => {
      const id = task();
      const device = unique("output");
      const row = rollup(device);
      const outputs = { rollups: [row], alerts: [alert(device, unique("id"))], devices: [summary(device)] };
      await checkpoints.restore(id);
      await checkpoints.commit(id, change(1, {}), outputs);
      const { metric, resolution, start } = row;
      const query = { device, metric, resolution, from: start, to: start + 1 };
      await eventually(() => opened.store.rollups(query), [row]);
      await eventually(() => opened.store.alerts({ device }), outputs.alerts);
      const mine = async () => (await opened.store.devices()).filter((known) => known.device === device);
      await eventually(mine, outputs.devices);
    });

    it("discards a task whole, and only that", async () => {
      const [id, neighbour] = [task(), task()];
      for (const owned of [id, neighbour]) {
        await checkpoints.restore(owned);
        await checkpoints.commit(owned, change(5, { a: one, b: two }), NOTHING);
      }
      await checkpoints.discard(id);
      const restored = await checkpoints.restore(id);
      assert.equal(restored.offset, undefined);
      assert.deepEqual([...restored.entries()], []);
      assert.equal((await checkpoints.restore(neighbour)).offset, 5);
      await checkpoints.commit(id, change(0, { a: two }), NOTHING);
      assert.equal((await checkpoints.restore(id)).offset, 0);
    });

    it("fences an owner whose task was restored elsewhere, and writes nothing of its state", async () => {
      const id = task();
      await checkpoints.restore(id);
      await checkpoints.commit(id, change(1, { key: one }), NOTHING);
      assert.equal((await opened.rival.restore(id)).offset, 1);
      const stale = checkpoints.commit(id, change(2, { key: two }), NOTHING);
      await assert.rejects(stale, (error) => hasCode(error, "FENCED"));
      await opened.rival.commit(id, change(3, {}), NOTHING);
      const restored = await checkpoints.restore(id);
      assert.equal(restored.offset, 3);
      assert.deepEqual(bytes(restored.get("key")), bytes(one));
    });
  });
}

const one = Uint8Array.of(1);
const two = Uint8Array.of(2, 2);

function task(): TaskId {
  return { group: unique("group"), topic: "telemetry.readings", partition: 0 };
}

function change(offset: number, state: Record<string, Uint8Array | null>): Checkpoint {
  return { offset, state: new Map(Object.entries(state)) };
}

/** Comparable whatever kind of array holds the bytes. */
function bytes(value: Uint8Array | undefined): string {
  assert.ok(value !== undefined, "entry is missing");
  return Buffer.from(value).toString("hex");
}

function contents(entries: Iterable<[string, Uint8Array]>): Record<string, string> {
  const pairs = Array.from(entries, ([key, value]) => [key, bytes(value)] as const);
  return Object.fromEntries(pairs.sort(([a], [b]) => (a < b ? -1 : 1)));
}
