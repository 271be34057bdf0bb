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
import { Deadlines } from "../alerting/deadlines.js";
import { isSilence } from "../alerting/rules.js";
import { type TaskCounters, zeroCounters } from "./counters.js";
import { DeviceOperator, type OperatorOptions } from "./device-operator.js";
import { type OutputEnds, OutputTopics, outputOrigin, timedOrigin } from "./output-topics.js";
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
  /** Largest ingest time taken. */
  ingestTimeMs?: number;
}

/** Everything one commit writes, kept until it is written. */
interface Prepared {
  offset: Offset;
  counters: TaskCounters;
  ingestTimeMs: number;
  committed: Committed;
  closed: AppendRecord[];
  state: Map<string, Uint8Array | null>;
}

export class PartitionTask {
  readonly #options: TaskOptions;
  readonly #outputs: OutputTopics;
  readonly #devices = new Map<string, DeviceOperator>();
  /** Devices with readings that count since the last commit. */
  readonly #dirty = new Set<string>();
  /** Devices of which only the state has changed. */
  readonly #changed = new Set<string>();
  #operatorOptions: OperatorOptions;
  /** Takes the place of the above at the next commit. */
  #nextOperatorOptions: OperatorOptions | undefined;
  /** Present when a rule is on silence. */
  #deadlines: Deadlines | undefined;
  /** Largest ingest time seen: the time by which silence is judged. */
  #ingestTimeMs = 0;
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
    this.#operatorOptions = options.operator;
    this.#outputs = new OutputTopics(options.log, options.task);
  }

  get counters(): Readonly<TaskCounters> {
    return this.#counters;
  }

  /** The next input offset to take. */
  get next(): Offset {
    return this.#next;
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
    this.#ingestTimeMs = state?.ingestTimeMs ?? 0;
    this.#watchSilence();
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
      if (record.timestamp > this.#logTime) this.#logTime = record.timestamp;
      this.#take(record);
      this.#next = record.offset + 1;
    }
  }

  /** True when {@link tick} may have something to do. */
  silenceDue(nowMs: number): boolean {
    return this.#deadlines !== undefined && (this.#deadlines.earliest <= nowMs || this.#outputs.unsettled);
  }

  /**
   * Judges silence as if the log had come to this ingest time. For the end of the log only: every record there is must
   * have been taken, or a device would be called silent whose readings wait.
   */
  tick(nowMs: number): void {
    if (this.#prepared) throw new Error("a commit has not finished: repeat it before a tick");
    this.#silentUntil(nowMs);
    this.#outputs.settle();
  }

  /** Puts other rules in force, from the next commit on: until then the state belongs to those there are. */
  useOperator(options: OperatorOptions): void {
    this.#nextOperatorOptions = options;
    if (!this.#pending) this.#switchOperator();
  }

  /** Something is to be committed. */
  get #pending(): boolean {
    const { size } = this.#changed;
    return this.#next !== this.#committedNext || size > 0 || this.#prepared !== undefined;
  }

  /**
   * Makes everything taken so far durable and visible. A failed commit may be repeated: it writes the same again.
   * @throws SluiceError STORE_UNAVAILABLE, LOG_UNAVAILABLE (repeat), FENCED (drop the task)
   */
  async commit(): Promise<Committed | undefined> {
    if (!this.#pending) return undefined;
    this.#prepared ??= this.#prepare();
    const { log, checkpoints, task, writeTopics } = this.#options;
    const { offset, counters, ingestTimeMs, committed, closed, state } = this.#prepared;
    let ends: OutputEnds = {};
    if (writeTopics) {
      ends = await this.#outputs.append();
      if (closed.length > 0) {
        await log.append(TOPICS.rollups, closed);
        closed.length = 0;
      }
    }
    const taskState: TaskState = { counters, ends, ingestTimeMs };
    state.set(TASK_KEY, Buffer.from(JSON.stringify(taskState)));
    await checkpoints.commit(task, { offset, state }, committed);
    this.#prepared = undefined;
    this.#committedNext = offset;
    this.#evict();
    if (this.#nextOperatorOptions) this.#switchOperator();
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
      this.#outputs.add(
        TOPICS.invalid,
        outputOrigin(record.offset),
        poisonRecord(this.#options.task, record, reading),
      );
      return;
    }
    this.#ingestTimeMs = Math.max(this.#ingestTimeMs, reading.ingestTs);
    this.#silentUntil(this.#ingestTimeMs);
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
    }
    if (this.#deadlines) {
      this.#deadlines.add(reading.deviceId, operator.silenceDeadline);
      this.#changed.add(reading.deviceId);
    }
    // By what they are and not by number: other rules may be in force when the record is taken again.
    for (const alert of alerts)
      this.#alert(outputOrigin(record.offset, `${alert.id}/${alert.state}`), alert, this.#logTime);
  }

  /** Fires what is due by this ingest time, in the order of the deadlines. */
  #silentUntil(ingestTimeMs: number): void {
    for (;;) {
      const due = this.#deadlines?.takeDue(ingestTimeMs);
      if (!due) return;
      const operator = this.#operator(due.device);
      for (const alert of operator.silentAt(due.at)) {
        this.#changed.add(due.device);
        // It comes from no record: a tick or any later record may have been the first to show it.
        this.#alert(timedOrigin(alert.id), alert, alert.startedAt);
      }
      this.#deadlines!.add(due.device, operator.silenceDeadline);
    }
  }

  /** Finds the deadlines of all devices there are. */
  #watchSilence(): void {
    this.#deadlines = this.#operatorOptions.rules.some(isSilence) ? new Deadlines() : undefined;
    if (!this.#deadlines) return;
    for (const [key, bytes] of this.#restored!.entries()) {
      if (key === TASK_KEY) continue;
      this.#deadlines.add(key, DeviceOperator.savedSilenceDeadline(key, this.#operatorOptions, bytes));
    }
  }

  /** All state is committed here: it is read back under the new rules when it is needed. */
  #switchOperator(): void {
    this.#operatorOptions = this.#nextOperatorOptions!;
    this.#nextOperatorOptions = undefined;
    this.#devices.clear();
    this.#watchSilence();
  }

  #late(record: LogRecord, reading: ReadingRecord): void {
    this.#counters.late++;
    this.#options.onLate?.(reading);
    this.#outputs.add(TOPICS.late, outputOrigin(record.offset), {
      key: reading.deviceId,
      value: Buffer.from(record.value),
      timestamp: record.timestamp,
    });
  }

  #alert(origin: string, alert: Alert, timestamp: number): void {
    if (!alert.corrected) {
      if (alert.state === "firing") this.#counters.alertsFired++;
      else this.#counters.alertsResolved++;
    }
    this.#alerts.push(alert);
    const value = Buffer.from(JSON.stringify(alert));
    this.#outputs.add(TOPICS.alerts, origin, { key: alert.device, value, timestamp });
  }

  #operator(device: string): DeviceOperator {
    let operator = this.#devices.get(device);
    if (operator) return operator;
    const bytes = this.#restored?.get(device);
    operator = bytes
      ? DeviceOperator.load(device, this.#operatorOptions, bytes)
      : DeviceOperator.create(device, this.#operatorOptions);
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
    for (const device of this.#changed) {
      if (!this.#dirty.has(device)) state.set(device, this.#devices.get(device)!.save());
    }
    this.#dirty.clear();
    this.#changed.clear();
    const alerts = this.#alerts;
    this.#alerts = [];
    const committed = { rollups, alerts, devices };
    const position = { offset: this.#next, ingestTimeMs: this.#ingestTimeMs };
    return { ...position, counters: { ...this.#counters }, committed, closed, state };
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
