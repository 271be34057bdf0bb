/**
 * Checkpoints for a store that cannot join their transaction: outputs are written first, the checkpoint after.
 *
 * A crash in between repeats the outputs, and they are upserts of absolute values, so that changes nothing (INV-5).
 */
import type { Checkpoints } from "../../contracts/ports/checkpoint.js";
import type { RejectedRow, Store } from "../../contracts/ports/store.js";
import { EMPTY_BATCH, isEmptyBatch } from "../store/batch.js";

export interface OutputsFirstOptions {
  /** Takes the rows that the store refused; the checkpoint waits for it, and fails when it fails. */
  onRejected: (rows: RejectedRow[]) => Promise<void>;
}

export function outputsThenCheckpoint(
  checkpoints: Checkpoints,
  store: Pick<Store, "write">,
  { onRejected }: OutputsFirstOptions,
): Checkpoints {
  return {
    restore: (task) => checkpoints.restore(task),
    async commit(task, checkpoint, outputs) {
      const rejected = isEmptyBatch(outputs) ? [] : await store.write(outputs);
      if (rejected.length > 0) await onRejected(rejected);
      await checkpoints.commit(task, checkpoint, EMPTY_BATCH);
    },
    discard: (task) => checkpoints.discard(task),
    release: (task) => checkpoints.release(task),
    close: () => checkpoints.close(),
  };
}
