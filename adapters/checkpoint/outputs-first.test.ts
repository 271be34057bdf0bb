import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SluiceError } from "../../contracts/errors.js";
import type { Checkpoint, Checkpoints } from "../../contracts/ports/checkpoint.js";
import type { RejectedRow, StoreBatch } from "../../contracts/ports/store.js";
import { summary } from "../../testkit/contracts/store-suite.js";
import { outputsThenCheckpoint } from "./outputs-first.js";

const TASK = { group: "g", topic: "t", partition: 0 };
const CHECKPOINT: Checkpoint = { offset: 7, state: new Map() };
const OUTPUTS: StoreBatch = { rollups: [], alerts: [], devices: [summary("d")] };
const REFUSED: RejectedRow = { kind: "device", line: "devices,device=d", reason: "no" };

/** Records what happens in which order; each step may fail. */
function recorder(options: { refused?: RejectedRow[]; failing?: string } = {}) {
  const steps: unknown[][] = [];
  async function step(...what: unknown[]): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (what[0] === options.failing) throw new SluiceError("STORE_UNAVAILABLE", "down");
    steps.push(what);
  }
  const inner: Checkpoints = {
    restore: () => assert.fail("not asked for"),
    commit: (task, checkpoint, outputs) => step("commit", task, checkpoint, outputs),
    release: async () => {},
    discard: (task) => step("discard", task),
    close: () => step("close"),
  };
  const store = {
    async write(batch: StoreBatch) {
      await step("write", batch);
      return options.refused ?? [];
    },
  };
  const checkpoints = outputsThenCheckpoint(inner, store, { onRejected: (rows) => step("rejected", rows) });
  return { checkpoints, steps, names: () => steps.map(([name]) => name) };
}

describe("outputs, then checkpoint", () => {
  it("writes the outputs before the checkpoint, which gets none", async () => {
    const { checkpoints, steps } = recorder();
    await checkpoints.commit(TASK, CHECKPOINT, OUTPUTS);
    assert.deepEqual(steps, [
      ["write", OUTPUTS],
      ["commit", TASK, CHECKPOINT, { rollups: [], alerts: [], devices: [] }],
    ]);
  });

  it("writes no checkpoint when the outputs fail", async () => {
    const { checkpoints, names } = recorder({ failing: "write" });
    await assert.rejects(checkpoints.commit(TASK, CHECKPOINT, OUTPUTS), { code: "STORE_UNAVAILABLE" });
    assert.deepEqual(names(), []);
  });

  it("hands refused rows on before the checkpoint", async () => {
    const { checkpoints, steps, names } = recorder({ refused: [REFUSED] });
    await checkpoints.commit(TASK, CHECKPOINT, OUTPUTS);
    assert.deepEqual(names(), ["write", "rejected", "commit"]);
    assert.deepEqual(steps[1]![1], [REFUSED]);
  });

  it("writes no checkpoint when refused rows cannot be handed on", async () => {
    const { checkpoints, names } = recorder({ refused: [REFUSED], failing: "rejected" });
    await assert.rejects(checkpoints.commit(TASK, CHECKPOINT, OUTPUTS));
    assert.deepEqual(names(), ["write"]);
  });

  it("leaves the store alone when there are no outputs, and passes the rest on", async () => {
    const { checkpoints, names } = recorder();
    await checkpoints.commit(TASK, CHECKPOINT, { rollups: [], alerts: [], devices: [] });
    await checkpoints.discard(TASK);
    await checkpoints.close();
    assert.deepEqual(names(), ["commit", "discard", "close"]);
  });
});
