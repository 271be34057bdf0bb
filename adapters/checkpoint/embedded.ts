/**
 * Checkpoints in the LMDB environment of the embedded store: state, input offset and outputs commit in one durable
 * transaction (INV-5), and state is read straight from LMDB's map, so a restore loads nothing.
 *
 * `restore` takes ownership of the task: a commit by an instance that restored it earlier, also in another process,
 * is refused with FENCED and writes nothing.
 */
import { SluiceError } from "../../contracts/errors.js";
import type { Checkpoint, Checkpoints, RestoredTask, TaskId } from "../../contracts/ports/checkpoint.js";
import type { StoreBatch } from "../../contracts/ports/store.js";
import { isEmptyBatch } from "../store/batch.js";
import type { Guard, StateEnv, Write } from "../store/embedded/env.js";
import type { StateTables } from "../store/embedded/tables.js";
import type { StoreMetrics } from "../store/metrics.js";

/** A task that is owned but has no checkpoint yet. */
const NO_OFFSET = Buffer.alloc(0);
const ENTRIES_PER_SLICE = 1_000;
const NUL = Buffer.alloc(1);

export class EmbeddedCheckpoints implements Checkpoints {
  readonly #tables: StateTables;
  readonly #env: StateEnv;
  readonly #metrics: StoreMetrics;
  /** Epoch under which this instance owns a task, by task key. */
  readonly #epochs = new Map<string, number>();

  constructor(tables: StateTables, metrics: StoreMetrics) {
    this.#tables = tables;
    this.#env = tables.env;
    this.#metrics = metrics;
  }

  async restore(task: TaskId): Promise<RestoredTask> {
    const key = taskKey(task);
    const offset = await this.#own(key);
    const env = this.#env;
    return {
      offset: offset.length === 0 ? undefined : offset.readDoubleBE(),
      get: (name) => env.read((transaction) => env.state.get(stateKey(key, name), { transaction })),
      entries: () => stateEntries(env, key),
    };
  }

  /** @throws SluiceError STORE_UNAVAILABLE, FENCED */
  async commit(task: TaskId, checkpoint: Checkpoint, outputs: StoreBatch): Promise<void> {
    const key = taskKey(task);
    const writes: Write[] = [];
    for (const [name, value] of checkpoint.state) {
      writes.push({ table: this.#env.state, key: stateKey(key, name), value: value ?? undefined });
    }
    const offset = Buffer.alloc(8);
    offset.writeDoubleBE(checkpoint.offset);
    // Without outputs this is no write of the store: with another store, those are counted there.
    const write = (guard: Guard) => this.#tables.write(outputs, writes, guard);
    await this.#guarded(key, offset, (guard) =>
      isEmptyBatch(outputs) ? write(guard) : this.#metrics.write(outputs, () => write(guard)),
    );
  }

  async discard(task: TaskId): Promise<void> {
    const key = taskKey(task);
    const [start, end] = stateRange(key);
    const writes = this.#env.read((transaction) =>
      Array.from(this.#env.state.getKeys({ start, end, transaction }), (entry) => {
        return { table: this.#env.state, key: entry, value: undefined };
      }),
    );
    await this.#guarded(key, NO_OFFSET, (guard) => this.#env.commit(writes, guard));
  }

  /** Nothing is held: state is read where it lies. */
  async release(): Promise<void> {}

  /** The environment stays open for the store: `EmbeddedState.close` closes it. */
  async close(): Promise<void> {}

  /** Takes the next epoch of the task. @returns its committed offset as stored */
  async #own(key: Buffer): Promise<Buffer> {
    for (;;) {
      const row = this.#env.read((transaction) => this.#env.tasks.getEntry(key, { transaction }));
      const version = row?.version;
      const value = row?.value ?? NO_OFFSET;
      const nextVersion = (version ?? 0) + 1;
      if (await this.#env.commit([], { key, version, nextVersion, value })) {
        this.#epochs.set(key.toString("latin1"), nextVersion);
        return value;
      }
    }
  }

  /** Replaces the task's offset in a write that goes through only while this instance owns the task. */
  async #guarded(key: Buffer, value: Buffer, write: (guard: Guard) => Promise<boolean>): Promise<void> {
    const id = key.toString("latin1");
    if (!this.#epochs.has(id)) await this.#own(key);
    const version = this.#epochs.get(id)!;
    if (!(await write({ key, version, nextVersion: version, value }))) {
      throw new SluiceError("FENCED", `${describe(key)} was taken over by another processor`);
    }
  }
}

/** (group, topic, partition). The lengths are bounded by what the log takes as names. */
function taskKey({ group, topic, partition }: TaskId): Buffer {
  return Buffer.from(`${group}\0${topic}\0${partition}\0`);
}

function describe(key: Buffer): string {
  const [group, topic, partition] = key.toString().split("\0");
  return `partition ${partition} of ${topic} in group ${group}`;
}

function stateKey(task: Buffer, name: string): Buffer {
  return Buffer.concat([task, Buffer.from(name)]);
}

/** Half-open key range of a task's state: its key ends in 0, so nothing else sorts between it and the same with 1. */
function stateRange(task: Buffer): [start: Buffer, end: Buffer] {
  const end = Buffer.from(task);
  end[end.length - 1] = 1;
  return [task, end];
}

/** Walks the state in key order, in slices, so that no snapshot stays open while the caller works. */
function* stateEntries(env: StateEnv, task: Buffer): Iterable<[string, Uint8Array]> {
  const [start, end] = stateRange(task);
  let from = start;
  for (;;) {
    const slice = env.read((transaction) => [
      ...env.state.getRange({ start: from, end, limit: ENTRIES_PER_SLICE, transaction }),
    ]);
    for (const { key, value } of slice) yield [key.toString("utf8", task.length), value];
    const last = slice.at(-1);
    if (last === undefined || slice.length < ENTRIES_PER_SLICE) return;
    from = Buffer.concat([last.key, NUL]);
  }
}
