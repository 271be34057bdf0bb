/**
 * The active notifier: reads the alerts of all partitions and the commands, decides, commits, and only then sends.
 *
 * Guarantees: one loop does everything in turn: take what came, look at what is due, commit state and positions
 * together, start sending. What was committed and not confirmed is sent again by whoever takes over, under the same id.
 */
import { hasCode, SluiceError } from "../contracts/errors.js";
import type { Checkpoints, TaskId } from "../contracts/ports/checkpoint.js";
import type { Clock } from "../contracts/ports/clock.js";
import type { Log, LogRecord, Offset } from "../contracts/ports/log.js";
import { TOPICS } from "../contracts/topics.js";
import type { Logger } from "../runtime/logger.js";
import { retry } from "../runtime/retry.js";
import { parseAlertRecord } from "./alert-record.js";
import { parseCommand } from "./commands.js";
import type { NotifierConfig } from "./config.js";
import { type Event, NotifierCore, type Output } from "./core/core.js";
import type { NotifierState } from "./core/state.js";
import type { NotifierMetrics } from "./metrics.js";
import { changes, load, type Positions } from "./persistence.js";
import { type OnDead, type Outlet, Sender } from "./sender.js";
import { tail } from "./tail.js";

export interface SessionOptions {
  log: Log;
  checkpoints: Checkpoints;
  clock: Clock;
  logger: Logger;
  metrics: NotifierMetrics;
  config: NotifierConfig;
  outlets: ReadonlyMap<string, Outlet>;
  onDead: OnDead;
  task: TaskId;
}

/** What the loop takes. `moved` says how far the input was read; `done` and `fail` answer whoever waits for it. */
interface Item {
  events: Event[];
  moved?: () => void;
  done?: () => void;
  fail?: (error: unknown) => void;
}

/** A notifier that never ran before tells of what still fires of the last hour, not of last year's alerts. */
const LOOKBACK_MS = 3_600_000;
/** On the way out, attempts under way may end for so long. */
const CLOSE_GRACE_MS = 5_000;

export class Session {
  readonly #options: SessionOptions;
  readonly #logger: Logger;
  readonly #core: NotifierCore;
  readonly #positions: Positions;
  readonly #sender: Sender;
  /** Next offset of the commands. */
  #offset: Offset;
  #inbox: Item[] = [];
  /** The input was read further than was committed. */
  #isDirty = true;
  #wake = new AbortController();
  /** No more input and no new attempts. */
  readonly #closing = new AbortController();
  /** Nothing more at all: somebody else may be active already. */
  readonly #dropped = new AbortController();
  readonly #ended: Promise<void>;

  private constructor(
    options: SessionOptions,
    restored: { state: NotifierState; positions: Positions; offset: Offset },
  ) {
    this.#options = options;
    this.#logger = options.logger;
    this.#positions = restored.positions;
    this.#offset = restored.offset;
    const forPrograms = [...options.outlets].filter(([, { channel }]) => channel.wantsEveryAlert);
    const wantEveryAlert = new Set(forPrograms.map(([id]) => id));
    this.#core = new NotifierCore(options.config, restored.state, options.clock.now(), wantEveryAlert);
    this.#sender = new Sender({
      ...options,
      timeoutMs: options.config.retry.timeout,
      report: (event) => this.#put({ events: [event] }),
    });
    this.#ended = this.#run();
    // Whoever waits for `ended` gets it; a session that is dropped has nobody who waits.
    this.#ended.catch(() => undefined);
  }

  /**
   * Takes the state over and starts.
   * @throws SluiceError STATE_CORRUPT, STORE_UNAVAILABLE, LOG_UNAVAILABLE
   */
  static async start(options: SessionOptions): Promise<Session> {
    const { log, checkpoints, clock, task } = options;
    const restored = await checkpoints.restore(task);
    const { state, positions } = load(restored.entries());
    for (const { partition } of await log.ranges(TOPICS.alerts)) {
      if (positions.has(partition)) continue;
      positions.set(partition, await log.offsetForTime(TOPICS.alerts, partition, clock.now() - LOOKBACK_MS));
    }
    const ranges = await log.ranges(task.topic);
    const earliest = ranges.find(({ partition }) => partition === task.partition)?.earliest ?? 0;
    return new Session(options, { state, positions, offset: restored.offset ?? earliest });
  }

  get offset(): Offset {
    return this.#offset;
  }

  get state(): NotifierState {
    return this.#core.state;
  }

  /** Resolves when it was stopped; rejects with what ended it. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Takes commands; resolves when what they changed is committed. */
  async command(records: readonly LogRecord[]): Promise<void> {
    const events = records.flatMap((record): Event[] => {
      const command = parseCommand(record.value);
      if (typeof command !== "string") return [{ kind: "command", command }];
      this.#unreadable(record, command);
      return [];
    });
    const next = records.at(-1)!.offset + 1;
    await this.#submit(events, () => {
      this.#offset = next;
    });
  }

  /** Ends attempts under way, commits what became of them, and stops. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#wake.abort();
    const grace = new AbortController();
    const timeUp = this.#options.clock.sleep(CLOSE_GRACE_MS, grace.signal).then(() => this.drop());
    timeUp.catch(() => undefined);
    await this.#ended.catch(() => undefined);
    grace.abort();
  }

  /** Stops where it is; writes nothing more. */
  async drop(): Promise<void> {
    this.#closing.abort();
    this.#dropped.abort();
    this.#sender.abort();
    this.#wake.abort();
    await this.#ended.catch(() => undefined);
  }

  async #run(): Promise<void> {
    const tails = [...this.#positions.keys()].map((partition) => this.#tail(partition));
    try {
      await Promise.all([this.#loop(), ...tails]);
    } catch (error) {
      if (!this.#dropped.signal.aborted) throw error;
    } finally {
      this.#closing.abort();
      this.#dropped.abort();
      this.#sender.abort();
      this.#wake.abort();
      for (const { fail } of this.#inbox.splice(0)) fail?.(stopped());
    }
  }

  async #loop(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#dropped.signal.aborted) {
      this.#wake = new AbortController();
      const items = this.#inbox.splice(0);
      await this.#take(items).catch((error) => {
        for (const { fail } of items) fail?.(error);
        throw error;
      });
      for (const { done } of items) done?.();
      let wakeAt = this.#core.nextTick();
      if (!this.#closing.signal.aborted)
        wakeAt = Math.min(wakeAt, this.#sender.dispatch(this.state.pending.values(), clock.now()));
      else if (!this.#sender.isBusy && this.#inbox.length === 0) return;
      if (this.#inbox.length === 0) await this.#idle(wakeAt);
    }
  }

  async #take(items: readonly Item[]): Promise<void> {
    const { clock } = this.#options;
    for (const { events, moved } of items) {
      for (const event of events) this.#step(event);
      moved?.();
      this.#isDirty ||= moved !== undefined;
    }
    if (this.#core.nextTick() <= clock.now()) this.#step({ kind: "tick" });
    if (this.#isDirty || this.state.isChanged) await this.#commit();
  }

  #step(event: Event): void {
    for (const output of this.#core.step(event, this.#options.clock.now())) this.#say(output);
    if ("id" in event) this.#sender.taken(event.id);
  }

  async #commit(): Promise<void> {
    const { checkpoints, clock, task } = this.#options;
    const state = changes(this.state, this.#positions);
    const checkpoint = { offset: this.#offset, state };
    await retry(() => checkpoints.commit(task, checkpoint, { rollups: [], alerts: [], devices: [] }), {
      clock,
      signal: this.#dropped.signal,
      retryable: isAway,
      onRetry: (error, attempt, delayMs) =>
        this.#logger.warn({ err: error, attempt, delayMs }, "notifier state was not committed, trying again"),
    });
    for (const [, table] of this.state.tables()) table.settle();
    this.#isDirty = false;
  }

  /** Until `wakeAt`, or something comes. */
  async #idle(wakeAt: number): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#wake;
    await clock.sleep(Math.max(0, wakeAt - clock.now()), signal).catch((error) => {
      if (!hasCode(error, "ABORTED")) throw error;
    });
  }

  #tail(partition: number): Promise<void> {
    return tail({
      ...this.#options,
      partition,
      from: this.#positions.get(partition)!,
      signal: this.#closing.signal,
      take: (records) => this.#alerts(partition, records),
    });
  }

  async #alerts(partition: number, records: readonly LogRecord[]): Promise<void> {
    const events = records.flatMap((record): Event[] => {
      const alert = parseAlertRecord(record.value);
      if (typeof alert !== "string") return [{ kind: "alert", alert }];
      this.#unreadable(record, alert);
      return [];
    });
    const next = records.at(-1)!.offset + 1;
    await this.#submit(events, () => this.#positions.set(partition, next));
  }

  #submit(events: Event[], moved: () => void): Promise<void> {
    if (this.#closing.signal.aborted) return Promise.reject(stopped());
    return new Promise((done, fail) => this.#put({ events, moved, done, fail }));
  }

  #put(item: Item): void {
    this.#inbox.push(item);
    this.#wake.abort();
  }

  #say(output: Output): void {
    const { suppressed } = this.#options.metrics;
    if (output.kind === "refused")
      this.#logger.error({ reason: output.reason }, "an alert command was refused");
    else if (output.kind === "evicted") {
      suppressed.inc({ why: "evicted" });
      this.#logger.error({ alert: output.alert.id }, "an alert was let go: there are more than max_alerts");
    } else {
      suppressed.inc({ why: output.why });
      this.#logger.debug({ alert: output.alert.id, why: output.why }, "an alert is kept back");
    }
  }

  #unreadable({ partition, offset }: LogRecord, reason: string): void {
    this.#options.metrics.suppressed.inc({ why: "unreadable" });
    this.#logger.error({ partition, offset, reason }, "a record is no alert and no command");
  }
}

function isAway(error: unknown): boolean {
  return hasCode(error, "STORE_UNAVAILABLE") || hasCode(error, "LOG_UNAVAILABLE");
}

function stopped(): SluiceError {
  return new SluiceError("ABORTED", "the notifier has stopped");
}
