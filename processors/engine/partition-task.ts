/**
 * One input partition: its devices' operators, its outputs and its commits.
 *
 * Guarantees: every record ends as counted, duplicate, late or poison, and is counted as such (INV-2, INV-6). A commit
 * puts outputs, state and input offset in place together, or outputs first (INV-5): after a crash at any point the
 * task goes on from the last commit and gives the same outputs again.
 */
import type { Alert } from "../../contracts/alert.js";
import type { DeviceSummary } from "../../contracts/device.js";
import { SluiceError } from "../../contracts/errors.js";
import type { Checkpoints, RestoredTask, TaskId } from "../../contracts/ports/checkpoint.js";
import type { AppendRecord, Log, LogRecord, Offset } from "../../contracts/ports/log.js";
import type { ReadingRecord } from "../../contracts/reading.js";
import type { Rollup } from "../../contracts/rollup.js";
import { TOPICS } from "../../contracts/topics.js";
import type { Logger } from "../../runtime/logger.js";
import { type TaskCounters, zeroCounters } from "./counters.js";
import { DeviceOperator, type OperatorOptions } from "./device-operator.js";
import { type OutputEnds, OutputTopics } from "./output-topics.js";
import { poisonRecord } from "./poison.js";
import { parseReadingRecord } from "./reading-record.js";

/** What a commit made visible. */
export interface Committed {
  rollups: Rollup[];
  alerts: Alert[];
  devices: DeviceSummary[];
}

export interface TaskOptions {
  task: TaskId;
  log: Log;
  checkpoints: Checkpoints;
  operator: OperatorOptions;
  logger: Logger;
  /** Devices whose state is held in memory; others are read back from the checkpoint when they speak again. */
  maxDevicesInMemory: number;
  /** False for a replay into another store: topics get nothing. */
  writeTopics: boolean;
  /** Told of each late reading. */
  onLate?: (record: ReadingRecord) => void;
}

/** State entry of the task itself. `#` is in no device id. */
const TASK_KEY = "#task";

interface TaskState {
  counters: TaskCounters;
  ends: OutputEnds;
}

/** Everything one commit writes, kept until it is written. */
interface Prepared {
  offset: Offset;
  counters: TaskCounters;
  committed: Committed;
  closed: AppendRecord[];
  state: Map<string, Uint8Array | null>;
}

export class PartitionTask {
  readonly #options: TaskOptions;
  readonly #outputs: OutputTopics;
  readonly #devices = new Map<string, DeviceOperator>();
  readonly #dirty = new Set<string>();
  #restored: RestoredTask | undefined;
  #counters = zeroCounters();
  #alerts: Alert[] = [];
  #next: Offset = 0;
  #committedNext: Offset = 0;
  /** Largest record time seen: the time of the records this task writes. */
  #logTime = 0;
  #prepared: Prepared | undefined;

  constructor(options: TaskOptions) {
    this.#options = options;
    this.#outputs = new OutputTopics(options.log, options.task);
  }

  get counters(): Readonly<TaskCounters> {
    return this.#counters;
  }

  /** Input records taken since the last commit. */
  get uncommitted(): number {
    return this.#next - this.#committedNext;
  }

  get devicesInMemory(): number {
    return this.#devices.size;
  }

  /**
   * Takes up the state of the last commit.
   * @returns the offset to read from: `otherwise` when there is no state
   * @throws SluiceError STATE_CORRUPT
   */
  async restore(otherwise: Offset): Promise<Offset> {
    const { checkpoints, task, writeTopics } = this.#options;
    this.#restored = await checkpoints.restore(task);
    const saved = this.#restored.get(TASK_KEY);
    const state = saved ? readTaskState(saved) : undefined;
    if (state) this.#counters = state.counters;
    if (writeTopics) await this.#outputs.restore(state?.ends ?? {});
    this.#next = this.#restored.offset ?? otherwise;
    this.#committedNext = this.#next;
    return this.#next;
  }

  /** Takes records in offset order. Repeats of what was taken already are passed over. */
  process(records: readonly LogRecord[]): void {
    if (this.#prepared) throw new Error("a commit has not finished: repeat it before taking more records");
    for (const record of records) {
      if (record.offset < this.#next) continue;
      this.#take(record);
      this.#next = record.offset + 1;
      if (record.timestamp > this.#logTime) this.#logTime = record.timestamp;
    }
  }

  /**
   * Makes everything taken so far durable and visible. A failed commit may be repeated: it writes the same again.
   * @throws SluiceError STORE_UNAVAILABLE, LOG_UNAVAILABLE (repeat), FENCED (drop the task)
   */
  async commit(): Promise<Committed | undefined> {
    if (this.#next === this.#committedNext) return undefined;
    this.#prepared ??= this.#prepare();
    const { log, checkpoints, task, writeTopics } = this.#options;
    const { offset, counters, committed, closed, state } = this.#prepared;
    let ends: OutputEnds = {};
    if (writeTopics) {
      ends = await this.#outputs.append();
      if (closed.length > 0) {
        await log.append(TOPICS.rollups, closed);
        closed.length = 0;
      }
    }
    const taskState: TaskState = { counters, ends };
    state.set(TASK_KEY, Buffer.from(JSON.stringify(taskState)));
    await checkpoints.commit(task, { offset, state }, committed);
    this.#prepared = undefined;
    this.#committedNext = offset;
    this.#evict();
    return committed;
  }

  #take(record: LogRecord): void {
    this.#counters.processed++;
    const reading = parseReadingRecord(record.value);
    if (typeof reading === "string") {
      this.#counters.poison++;
      this.#options.logger.warn(
        { ...this.#options.task, offset: record.offset, why: reading },
        "poison record",
      );
      this.#outputs.add(TOPICS.invalid, record.offset, 0, poisonRecord(this.#options.task, record, reading));
      return;
    }
    const operator = this.#operator(reading.deviceId);
    if (operator.includes(record.offset)) {
      // Its outputs came before its state, so nothing is left to do; what it was counted as is not remembered.
      this.#counters.counted++;
      return;
    }
    const alerts: Alert[] = [];
    const admission = operator.step(record.offset, reading, alerts);
    if (admission === "late") this.#late(record, reading);
    else if (admission === "duplicate") this.#counters.duplicates++;
    else {
      this.#counters.counted++;
      this.#dirty.add(reading.deviceId);
      for (const [n, alert] of alerts.entries()) this.#alert(record.offset, n, alert);
    }
  }

  #late(record: LogRecord, reading: ReadingRecord): void {
    this.#counters.late++;
    this.#options.onLate?.(reading);
    this.#outputs.add(TOPICS.late, record.offset, 0, {
      key: reading.deviceId,
      value: Buffer.from(record.value),
      timestamp: record.timestamp,
    });
  }

  #alert(offset: Offset, n: number, alert: Alert): void {
    if (alert.state === "firing") this.#counters.alertsFired++;
    else this.#counters.alertsResolved++;
    this.#alerts.push(alert);
    const value = Buffer.from(JSON.stringify(alert));
    this.#outputs.add(TOPICS.alerts, offset, n, { key: alert.device, value, timestamp: this.#logTime });
  }

  #operator(device: string): DeviceOperator {
    let operator = this.#devices.get(device);
    if (operator) return operator;
    const bytes = this.#restored?.get(device);
    operator = bytes
      ? DeviceOperator.load(device, this.#options.operator, bytes)
      : DeviceOperator.create(device, this.#options.operator);
    this.#devices.set(device, operator);
    return operator;
  }

  #prepare(): Prepared {
    const rollups: Rollup[] = [];
    const closed: AppendRecord[] = [];
    const devices: DeviceSummary[] = [];
    const state = new Map<string, Uint8Array | null>();
    for (const device of this.#dirty) {
      const operator = this.#devices.get(device)!;
      for (const change of operator.flush()) {
        rollups.push(change.rollup);
        if (change.closed) closed.push(this.#rollupRecord(change.rollup));
      }
      devices.push(operator.summary());
      state.set(device, operator.save());
      this.#devices.delete(device);
      this.#devices.set(device, operator);
    }
    this.#dirty.clear();
    const alerts = this.#alerts;
    this.#alerts = [];
    const committed = { rollups, alerts, devices };
    return { offset: this.#next, counters: { ...this.#counters }, committed, closed, state };
  }

  #rollupRecord(rollup: Rollup): AppendRecord {
    const value = Buffer.from(JSON.stringify({ v: 1, ...rollup }));
    return { key: rollup.device, value, timestamp: this.#logTime };
  }

  /** Lets go of the devices that have been silent longest. All state is committed here, so none is lost. */
  #evict(): void {
    for (const device of this.#devices.keys()) {
      if (this.#devices.size <= this.#options.maxDevicesInMemory) return;
      this.#devices.delete(device);
    }
  }
}

function readTaskState(bytes: Uint8Array): TaskState {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8")) as TaskState;
  } catch (error) {
    throw new SluiceError("STATE_CORRUPT", `state of the task: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
