/**
 * Store and checkpoints in memory, for simulations: one {@link MemoryStateData} is what would be on disk.
 *
 * `faults` is asked before and after every effect. Two ways to commit, as the real adapters have: `atomic` puts
 * outputs, state and offset in place at once; `outputs-first` writes the outputs, then {state, offset}.
 */
import type { Alert } from "../contracts/alert.js";
import type { DeviceSummary } from "../contracts/device.js";
import type { Checkpoint, Checkpoints, RestoredTask, TaskId } from "../contracts/ports/checkpoint.js";
import type { Offset } from "../contracts/ports/log.js";
import type { AlertQuery, RejectedRow, RollupQuery, Store, StoreBatch } from "../contracts/ports/store.js";
import { type Rollup, rollupKey } from "../contracts/rollup.js";
import { type Faults, NO_FAULTS } from "./memory-log.js";

interface TaskData {
  offset: Offset;
  state: Map<string, Uint8Array>;
}

export class MemoryStateData {
  readonly rollups = new Map<string, Rollup>();
  readonly alerts = new Map<string, Alert>();
  readonly devices = new Map<string, DeviceSummary>();
  readonly tasks = new Map<string, TaskData>();

  put(batch: StoreBatch): void {
    for (const rollup of batch.rollups) this.rollups.set(rollupKey(rollup), rollup);
    for (const alert of batch.alerts) this.alerts.set(alert.id, alert);
    for (const device of batch.devices) this.devices.set(device.device, device);
  }

  checkpoint(task: TaskId, { offset, state }: Checkpoint): void {
    const data = this.tasks.get(taskKey(task)) ?? { offset, state: new Map<string, Uint8Array>() };
    data.offset = offset;
    for (const [key, value] of state) {
      if (value === null) data.state.delete(key);
      else data.state.set(key, Uint8Array.from(value));
    }
    this.tasks.set(taskKey(task), data);
  }
}

export class MemoryStore implements Store {
  readonly #data: MemoryStateData;
  readonly #faults: Faults;

  constructor(data: MemoryStateData, faults: Faults = NO_FAULTS) {
    this.#data = data;
    this.#faults = faults;
  }

  async write(batch: StoreBatch): Promise<RejectedRow[]> {
    await this.#faults.before("store.write");
    this.#data.put(batch);
    await this.#faults.after("store.write");
    return [];
  }

  async rollups({ device, metric, resolution, from, to, limit }: RollupQuery): Promise<Rollup[]> {
    return [...this.#data.rollups.values()]
      .filter((row) => row.device === device && row.metric === metric && row.resolution === resolution)
      .filter((row) => row.start >= from && row.start < to)
      .sort((a, b) => a.start - b.start)
      .slice(0, limit);
  }

  async alerts({ state, device, limit = 100 }: AlertQuery): Promise<Alert[]> {
    return [...this.#data.alerts.values()]
      .filter(
        (alert) =>
          (state === undefined || alert.state === state) && (device === undefined || alert.device === device),
      )
      .sort((a, b) => b.updatedAt - a.updatedAt)
      .slice(0, limit);
  }

  async devices(): Promise<DeviceSummary[]> {
    return [...this.#data.devices.values()].sort((a, b) => (a.device < b.device ? -1 : 1));
  }

  async check(): Promise<void> {
    await this.#faults.before("check");
  }

  async close(): Promise<void> {}
}

export class MemoryCheckpoints implements Checkpoints {
  readonly #data: MemoryStateData;
  readonly #mode: "atomic" | "outputs-first";
  readonly #faults: Faults;
  #killed = false;

  constructor(data: MemoryStateData, mode: "atomic" | "outputs-first", faults: Faults = NO_FAULTS) {
    this.#data = data;
    this.#mode = mode;
    this.#faults = faults;
  }

  /** The process is gone: a commit under way stops where it is. */
  kill(): void {
    this.#killed = true;
  }

  async restore(task: TaskId): Promise<RestoredTask> {
    await this.#alive();
    await this.#faults.before("checkpoint.restore");
    await this.#alive();
    const read = () => this.#data.tasks.get(taskKey(task));
    return {
      offset: read()?.offset,
      get: (key) => read()?.state.get(key),
      entries: () => read()?.state.entries() ?? [],
    };
  }

  async commit(task: TaskId, checkpoint: Checkpoint, outputs: StoreBatch): Promise<void> {
    await this.#alive();
    await this.#faults.before("checkpoint.outputs");
    await this.#alive();
    this.#data.put(outputs);
    if (this.#mode === "outputs-first") {
      await this.#faults.after("checkpoint.outputs");
      await this.#faults.before("checkpoint.state");
      await this.#alive();
    }
    this.#data.checkpoint(task, checkpoint);
    await this.#faults.after("checkpoint.state");
    await this.#alive();
  }

  async release(): Promise<void> {
    await this.#alive();
  }

  async discard(task: TaskId): Promise<void> {
    await this.#alive();
    await this.#faults.before("checkpoint.discard");
    await this.#alive();
    this.#data.tasks.delete(taskKey(task));
    await this.#faults.after("checkpoint.discard");
    await this.#alive();
  }

  async close(): Promise<void> {}

  /** Never returns once killed. */
  async #alive(): Promise<void> {
    if (this.#killed) await new Promise(() => {});
  }
}

function taskKey({ group, topic, partition }: TaskId): string {
  return `${group} ${topic} ${partition}`;
}
