/**
 * A whole Sluice in one thread on a virtual clock: gateways, log, processor, store, and the devices' connections.
 * The real Admitter, Bridge, Processor and operators run; only ports and sockets are simulated. All chance comes from
 * one seed, so a seed gives the same world every time.
 */
import { type Logger, pino } from "pino";
import { partitionForKey } from "../../adapters/log/partitioner.js";
import type { DeadLetterRecord } from "../../contracts/dead-letter.js";
import type { LogRecord, Offset } from "../../contracts/ports/log.js";
import type { ReadingRecord } from "../../contracts/reading.js";
import { TOPICS } from "../../contracts/topics.js";
import { DEFAULT_RESOLUTIONS } from "../../contracts/window.js";
import { DEFAULT_LIMITS } from "../../gateway/limits.js";
import { compileRule, ruleSchema } from "../../processors/alerting/rules.js";
import { Processor } from "../../processors/engine/processor.js";
import { type ReconcileReport, reconcile } from "../../processors/reconcile/reconcile.js";
import { Registry } from "../../runtime/metrics.js";
import { MemoryLog, MemoryLogData } from "../../testkit/memory-log.js";
import { MemoryCheckpoints, MemoryStateData, MemoryStore } from "../../testkit/memory-state.js";
import { type Rng, seededRng } from "../../testkit/rng.js";
import { ProcessClock, VirtualClock } from "../../testkit/virtual-clock.js";
import { Gateways } from "./gateways.js";
import { faultsOf, NO_TROUBLE, Tally, type Trouble } from "./trouble.js";

export const START = Date.UTC(2026, 5, 1, 12);
export const LATENESS_MS = 600_000;
export const PARTITIONS = 3;
const RULES = [
  {
    name: "hot",
    metric: "temperature",
    detector: "range",
    params: { above: 28, clearAbove: 26 },
  },
  { name: "anomaly" },
].map((rule) => compileRule(ruleSchema.parse(rule)));
export const OPERATOR = { resolutions: DEFAULT_RESOLUTIONS, allowedLatenessMs: LATENESS_MS, rules: RULES };
const TOPIC_SPECS = Object.values(TOPICS).map((name) => ({ name, partitions: PARTITIONS }));
export const SILENT: Logger = pino({ level: "silent" });

/** Input that retention removed before it was processed: offsets [from, to). */
export interface LostRange {
  partition: number;
  from: Offset;
  to: Offset;
}

interface ProcessorProcess {
  clock: ProcessClock;
  log: MemoryLog;
  checkpoints: MemoryCheckpoints;
  processor: Processor;
}

export class World {
  readonly rng: Rng;
  readonly clock = new VirtualClock(START);
  readonly logData = new MemoryLogData();
  state = new MemoryStateData();
  readonly #mode: "atomic" | "outputs-first";
  trouble: Trouble = NO_TROUBLE;
  readonly faults = new Tally();
  readonly gateways: Gateways;
  processor: ProcessorProcess | undefined;
  /** Input that retention removed, in the order it was removed. */
  readonly expired: LogRecord[] = [];
  /** The part of it that was never processed, and what the processor said it lost. */
  readonly lost: LostRange[] = [];
  readonly reportedLost: LostRange[] = [];
  readonly #logger: Logger;

  constructor(seed: number) {
    this.rng = seededRng(seed);
    this.#mode = this.rng.next() < 0.5 ? "atomic" : "outputs-first";
    this.gateways = new Gateways(this);
    this.#logger = pino({ level: "error" }, { write: (line) => this.#collectLost(line) });
  }

  async prepare(): Promise<void> {
    await this.openLog().ensureTopics(TOPIC_SPECS);
  }

  /** A handle of the log that nothing happens to. */
  openLog(): MemoryLog {
    return new MemoryLog(this.logData, partitionForKey);
  }

  async startProcessor(): Promise<void> {
    const faults = faultsOf(this, () => this.trouble, false);
    const log = new MemoryLog(this.logData, partitionForKey, faults);
    const checkpoints = new MemoryCheckpoints(this.state, this.#mode, faults);
    const clock = new ProcessClock(this.clock);
    const processor = new Processor({
      ...{ log, checkpoints, clock, logger: this.#logger, registry: new Registry() },
      group: "processor",
      operator: OPERATOR,
      commitIntervalMs: this.rng.pick([200, 1_000]),
      maxRecordsPerCommit: 1 + this.rng.int(200),
      maxDevicesInMemory: 1 + this.rng.int(3),
    });
    this.processor = { clock, log, checkpoints, processor };
    await processor.start();
  }

  /** kill -9. */
  killProcessor(): void {
    this.processor?.log.kill();
    this.processor?.checkpoints.kill();
    this.processor?.clock.kill();
    this.processor = undefined;
  }

  /** SIGTERM. */
  async stopProcessor(): Promise<void> {
    const stopping = this.processor;
    this.processor = undefined;
    await stopping?.processor.close();
  }

  /** SIGTERM, while nothing else is going on: time passes until it has stopped. */
  async closeProcessor(): Promise<void> {
    let closed = false;
    const closing = this.stopProcessor().finally(() => {
      closed = true;
    });
    await this.clock.runUntil(() => closed, 3_600_000);
    await closing;
  }

  /** Resolves when every reading of the log is processed and committed. */
  async caughtUp(): Promise<void> {
    const { processor } = this.processor!;
    const total = this.input().length;
    const done = () => processor.counters().processed === total && processor.uncommitted() === 0;
    await this.clock.runUntil(done, 3_600_000);
  }

  /** Where the processor's checkpoint of an input partition stands. */
  committed(partition: number): Offset | undefined {
    return this.state.tasks.get(`processor ${TOPICS.readings} ${partition}`)?.offset;
  }

  /** The state a fresh processor makes of the same log. */
  async replayed(): Promise<MemoryStateData> {
    const { state } = this;
    this.state = new MemoryStateData();
    await this.startProcessor();
    await this.caughtUp();
    await this.closeProcessor();
    const replayed = this.state;
    this.state = state;
    return replayed;
  }

  /** Holds the store against the log, as `sluice reconcile` does. */
  reconcile(repair: boolean): Promise<ReconcileReport> {
    return reconcile({
      ...{ log: this.openLog(), store: new MemoryStore(this.state) },
      ...{ clock: this.clock, logger: SILENT, operator: OPERATOR, repair, settleMs: 0 },
      ...{ fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, maxClockSkewMs: DEFAULT_LIMITS.maxClockSkewMs },
    });
  }

  /** Runs `work` on a copy of the store, and forgets what it changed. */
  async withCopiedState<T>(work: () => Promise<T>): Promise<T> {
    const { state } = this;
    this.state = new MemoryStateData();
    this.state.put({
      rollups: [...state.rollups.values()],
      alerts: [...state.alerts.values()],
      devices: [...state.devices.values()],
    });
    try {
      return await work();
    } finally {
      this.state = state;
    }
  }

  /** Every record of `telemetry.readings` there ever was, each partition in the order of its offsets. */
  appended(): LogRecord[] {
    return [...this.expired, ...this.logData.records(TOPICS.readings)];
  }

  /** Those of them that a processor could see. */
  input(): LogRecord[] {
    const gone = ({ partition, offset }: LogRecord) =>
      this.lost.some((range) => range.partition === partition && offset >= range.from && offset < range.to);
    return this.lost.length === 0 ? this.appended() : this.appended().filter((record) => !gone(record));
  }

  deadLetters(): DeadLetterRecord[] {
    return this.json(TOPICS.invalid);
  }

  late(): ReadingRecord[] {
    return this.json(TOPICS.late);
  }

  json<T>(topic: string): T[] {
    return this.logData.records(topic).map((record) => JSON.parse(Buffer.from(record.value).toString()) as T);
  }

  #collectLost(line: string): void {
    const { msg, partition, from, to } = JSON.parse(line) as LostRange & { msg: string };
    if (msg.startsWith("retention removed")) this.reportedLost.push({ partition, from, to });
  }
}
