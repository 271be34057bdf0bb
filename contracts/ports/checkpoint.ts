/**
 * The checkpoint port: processor state and the input offset it includes, kept together, so that a restart goes on
 * exactly where the state stands (INV-3, INV-5).
 */
import type { Offset } from "./log.js";
import type { StoreBatch } from "./store.js";

/** Which processor's which input partition. */
export interface TaskId {
  group: string;
  topic: string;
  partition: number;
}

/** What a commit changes. `state` holds only touched entries; null deletes one. */
export interface Checkpoint {
  /** The next input offset: everything before it is in the state. */
  offset: Offset;
  state: ReadonlyMap<string, Uint8Array | null>;
}

/** State of one task as it was at its last commit. */
export interface RestoredTask {
  offset: Offset | undefined;
  /** One entry; undefined when there is none. Synchronous where the adapter holds state locally. */
  get(key: string): Uint8Array | undefined;
  entries(): Iterable<[string, Uint8Array]>;
}

export interface Checkpoints {
  restore(task: TaskId): Promise<RestoredTask>;
  /**
   * Commits outputs, then state and offset: in one transaction where the adapter can, else outputs first.
   * All or nothing for {state, offset}: after a crash either both are old or both are new.
   * @throws SluiceError STORE_UNAVAILABLE, FENCED (another owner took the task: discard it)
   */
  commit(task: TaskId, checkpoint: Checkpoint, outputs: StoreBatch): Promise<void>;
  /** Drops all state of the task: it is rebuilt from the log. */
  discard(task: TaskId): Promise<void>;
  /** The task is no longer this process's: lets go of what is held for it. Its state stays. */
  release(task: TaskId): Promise<void>;
  close(): Promise<void>;
}
