/**
 * A whole Sluice in one thread on a virtual clock: devices, gateway ingest, log, processor, store. Everything that can
 * happen to it is drawn from one seed: lost acks, crashes of gateway and processor at any await, failing and slow
 * logs and stores, re-sends, disorder, skewed clocks, malformed payloads.
 *
 * The real Admitter, Bridge, Processor and operators run; only ports and sockets are simulated.
 */
import type { Logger } from "pino";
import { pino } from "pino";
import { partitionForKey } from "../../adapters/log/partitioner.js";
import type { DeadLetterRecord } from "../../contracts/dead-letter.js";
import { SluiceError } from "../../contracts/errors.js";
import type { ReadingRecord } from "../../contracts/reading.js";
import { TOPICS } from "../../contracts/topics.js";
import { DEFAULT_RESOLUTIONS } from "../../contracts/window.js";
import { Bridge } from "../../gateway/bridge/bridge.js";
import { Admitter } from "../../gateway/ingest/admit.js";
import { DEFAULT_LIMITS } from "../../gateway/limits.js";
import { compileRule, ruleSchema } from "../../processors/alerting/rules.js";
import { Processor } from "../../processors/engine/processor.js";
import { type ReconcileReport, reconcile } from "../../processors/reconcile/reconcile.js";
import { Registry } from "../../runtime/metrics.js";
import { type Faults, MemoryLog, MemoryLogData } from "../../testkit/memory-log.js";
import { MemoryCheckpoints, MemoryStateData, MemoryStore } from "../../testkit/memory-state.js";
import { type Rng, seededRng } from "../../testkit/rng.js";
import { ProcessClock, VirtualClock } from "../../testkit/virtual-clock.js";

export const START = Date.UTC(2026, 5, 1, 12);
export const LATENESS_MS = 600_000;
const RULES = [
  compileRule(
    ruleSchema.parse({
      name: "hot",
      metric: "temperature",
      detector: "range",
      params: { above: 28, clearAbove: 26 },
    }),
  ),
  compileRule(ruleSchema.parse({ name: "anomaly" })),
];
const OPERATOR = { resolutions: DEFAULT_RESOLUTIONS, allowedLatenessMs: LATENESS_MS, rules: RULES };
const TOPIC_SPECS = Object.values(TOPICS).map((name) => ({ name, partitions: 3 }));
const SILENT: Logger = pino({ level: "silent" });

/** How likely each kind of trouble is. */
export interface Trouble {
  /** An operation fails before, or after, it took effect. */
  failure: number;
  maxDelayMs: number;
}

/** A running gateway: dies as a process does. */
interface Gateway {
  clock: ProcessClock;
  log: MemoryLog;
  admitter: Admitter;
  bridge: Bridge;
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
  trouble: Trouble;
  gateway: Gateway | undefined;
  processor: ProcessorProcess | undefined;
  #runs = 0;

  constructor(seed: number, trouble: Trouble) {
    this.rng = seededRng(seed);
    this.trouble = trouble;
    this.#mode = this.rng.next() < 0.5 ? "atomic" : "outputs-first";
  }

  async prepare(): Promise<void> {
    await new MemoryLog(this.logData, partitionForKey).ensureTopics(TOPIC_SPECS);
  }

  startGateway(): void {
    const log = new MemoryLog(this.logData, partitionForKey, this.#faults());
    const clock = new ProcessClock(this.clock);
    const bridge = new Bridge({
      log,
      clock,
      logger: SILENT,
      limits: DEFAULT_LIMITS,
      onRetry: () => {},
    });
    this.gateway = { clock, log, bridge, admitter: new Admitter(DEFAULT_LIMITS, `run${this.#runs++}`) };
  }

  killGateway(): void {
    this.gateway?.log.kill();
    this.gateway?.clock.kill();
    this.gateway = undefined;
  }

  async startProcessor(): Promise<void> {
    const log = new MemoryLog(this.logData, partitionForKey, this.#faults());
    const checkpoints = new MemoryCheckpoints(this.state, this.#mode, this.#faults());
    const clock = new ProcessClock(this.clock);
    const processor = new Processor({
      ...{ log, checkpoints, clock, logger: SILENT, registry: new Registry() },
      group: "processor",
      operator: OPERATOR,
      commitIntervalMs: 1_000,
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

  /**
   * Hands a message to the gateway as the broker's hook does.
   * @returns true once acked; never returns when the gateway dies first
   */
  async publish(deviceId: string, payload: Buffer, dup: boolean, messageId: number): Promise<boolean> {
    const gateway = this.gateway;
    if (!gateway) return false;
    const message = {
      ...{ topic: `devices/${deviceId}/telemetry`, payload, clientId: deviceId, qos: 1 as const },
      ...{ dup, messageId, ingestTs: this.clock.now() },
    };
    const admitted = gateway.admitter.admit(message, deviceId);
    const durable = await new Promise<boolean>((resolve) => {
      gateway.bridge.deliver(admitted, (error) => resolve(error === undefined));
    });
    return durable && this.gateway === gateway;
  }

  /** Resolves when every reading of the log is processed and committed. */
  async caughtUp(): Promise<void> {
    const { processor } = this.processor!;
    const total = this.logData.records(TOPICS.readings).length;
    const done = () => processor.counters().processed === total && processor.uncommitted() === 0;
    await this.clock.runUntil(done, 3_600_000);
  }

  /** The state a fresh processor makes of the same log. */
  async replayed(): Promise<MemoryStateData> {
    const { state } = this;
    this.state = new MemoryStateData();
    await this.startProcessor();
    await this.caughtUp();
    await this.stopProcessor();
    const replayed = this.state;
    this.state = state;
    return replayed;
  }

  /** Holds the store against the log, as `sluice reconcile` does. */
  reconcile(repair: boolean): Promise<ReconcileReport> {
    return reconcile({
      ...{ log: new MemoryLog(this.logData, partitionForKey), store: new MemoryStore(this.state) },
      ...{ clock: this.clock, logger: SILENT, operator: OPERATOR, repair, settleMs: 0 },
      ...{ fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, maxClockSkewMs: DEFAULT_LIMITS.maxClockSkewMs },
    });
  }

  /** Runs `work` on a copy of the store, and forgets what it changed. */
  async withCopiedState<T>(work: () => Promise<T>): Promise<T> {
    const { state } = this;
    this.state = new MemoryStateData();
    this.state.put({
      ...{
        rollups: [...state.rollups.values()],
        alerts: [...state.alerts.values()],
        devices: [...state.devices.values()],
      },
    });
    try {
      return await work();
    } finally {
      this.state = state;
    }
  }

  readings(): ReadingRecord[] {
    return this.json(TOPICS.readings);
  }

  deadLetters(): DeadLetterRecord[] {
    return this.json(TOPICS.invalid);
  }

  json<T>(topic: string): T[] {
    return this.logData.records(topic).map((record) => JSON.parse(Buffer.from(record.value).toString()) as T);
  }

  #faults(): Faults {
    const turn = async (when: string, operation: string) => {
      const { failure, maxDelayMs } = this.trouble;
      if (maxDelayMs > 0) await this.clock.sleep(this.rng.int(maxDelayMs));
      if (this.rng.next() >= failure) return;
      const code = operation.startsWith("checkpoint") ? "STORE_UNAVAILABLE" : "LOG_UNAVAILABLE";
      throw new SluiceError(code, `${operation}: planted failure ${when} the effect`);
    };
    return {
      before: (operation) => turn("before", operation),
      after: (operation) => turn("after", operation),
    };
  }
}
