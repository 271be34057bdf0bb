/**
 * What the notifier's tests share: alerts, a core under a hand-driven clock, a whole notifier over memory.
 */
import { type Alert, alertId } from "../../contracts/alert.js";
import type { Channel, Notification } from "../../contracts/ports/channel.js";
import { TOPICS } from "../../contracts/topics.js";
import { createLogger } from "../../runtime/logger.js";
import { Registry } from "../../runtime/metrics.js";
import { type Faults, MemoryLog, type MemoryLogData } from "../../testkit/memory-log.js";
import { MemoryCheckpoints, type MemoryStateData } from "../../testkit/memory-state.js";
import { ProcessClock, type VirtualClock } from "../../testkit/virtual-clock.js";
import type { AlertCommand } from "../commands.js";
import { notifierSchema } from "../config.js";
import { NotifierCore, type Output } from "../core/core.js";
import { NotifierState } from "../core/state.js";
import { type Notifier, startNotifier } from "../notifier.js";
import { changes, load } from "../persistence.js";

/** A Monday, 00:00 UTC. */
export const T0 = Date.UTC(2024, 10, 18);
export const SECOND = 1_000;
export const MINUTE = 60_000;
export const HOUR = 3_600_000;

export function firing(parts: Partial<Alert> = {}): Alert {
  const { rule = "hot", device = "d1", metric = "temperature", startedAt = T0 } = parts;
  return {
    v: 1,
    id: alertId(rule, device, metric, startedAt),
    state: "firing",
    ...{ rule, device, metric, startedAt },
    severity: "warning",
    updatedAt: startedAt,
    value: 90,
    score: 1,
    detector: "range",
    threshold: 0.5,
    summary: `${metric} of ${device} is 90, above its limit of 80`,
    ...parts,
  };
}

export function resolved(alert: Alert, at = alert.updatedAt + MINUTE): Alert {
  return { ...alert, state: "resolved", updatedAt: at, resolvedAt: at };
}

export function config(parts: Record<string, unknown> = {}) {
  return notifierSchema.parse({
    receivers: ["ops", "boss"].map((name) => ({ name, channels: [{ type: "test" }] })),
    route: { receiver: "ops" },
    ...parts,
  });
}

/** A core under test: everything pending is taken as accepted at once, unless `isDown`. */
export class CoreHarness {
  now = T0;
  isDown = false;
  readonly sent: Notification[] = [];
  readonly outputs: Output[] = [];
  core: NotifierCore;
  readonly #every: ReadonlySet<string>;

  constructor(parts: Record<string, unknown> = {}, every: readonly string[] = []) {
    this.#every = new Set(every);
    this.core = new NotifierCore(config(parts), new NotifierState(), this.now, this.#every);
  }

  alert(...alerts: Alert[]): void {
    for (const alert of alerts) this.#step({ kind: "alert", alert });
  }

  command(command: AlertCommand): void {
    this.#step({ kind: "command", command });
  }

  /** Lets time pass, stopping wherever the core wants to look at something. */
  pass(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      this.#deliver();
      const next = this.core.nextTick();
      if (next > end) break;
      this.now = Math.max(this.now, next);
      this.#step({ kind: "tick" });
    }
    this.now = end;
  }

  /** What a restart makes of the state, with another configuration if there is one. */
  restart(parts: Record<string, unknown> = {}): void {
    for (const [, table] of this.core.state.tables()) for (const key of table.keys()) table.touch(key);
    const stored = changes(this.core.state, new Map());
    const entries = [...stored].flatMap(([key, value]): [string, Uint8Array][] =>
      value ? [[key, value]] : [],
    );
    this.core = new NotifierCore(config(parts), load(entries).state, this.now, this.#every);
  }

  #deliver(): void {
    for (let rows = this.#due(); rows.length > 0; rows = this.#due()) {
      for (const { notification, dead } of rows) {
        if (dead === null) this.sent.push(notification);
        this.#step({ kind: dead === null ? "sent" : "buried", id: notification.id });
      }
    }
  }

  #due() {
    return [...this.core.state.pending.values()].filter(({ dead }) => !this.isDown || dead !== null);
  }

  #step(event: Parameters<NotifierCore["step"]>[0]): void {
    this.outputs.push(...this.core.step(event, this.now));
  }
}

export interface World {
  clock: VirtualClock;
  log: MemoryLogData;
  state: MemoryStateData;
  faults?: Faults;
}

/** One process with a notifier. `kill` is kill -9: nothing of it happens any more. */
export function startProcess(
  world: World,
  parts: Record<string, unknown>,
  send: (notification: Notification, signal: AbortSignal) => Promise<void>,
  onDead: (notification: Notification, reason: string) => void = () => undefined,
): { notifier: Notifier; log: MemoryLog; registry: Registry; kill(): void } {
  const clock = new ProcessClock(world.clock);
  const log = new MemoryLog(world.log, (key, partitions) => key.length % partitions, world.faults);
  const checkpoints = new MemoryCheckpoints(world.state, "atomic", world.faults);
  const registry = new Registry();
  let isKilled = false;
  const channel: Channel = {
    name: "test",
    async send(notification, signal) {
      if (isKilled) await new Promise(() => undefined);
      await send(notification, signal);
      if (isKilled) await new Promise(() => undefined);
    },
  };
  const notifier = startNotifier({
    ...{ log, checkpoints, clock, registry, onDead },
    logger: createLogger("silent"),
    config: config(parts),
    channels: () => channel,
  });
  const kill = () => {
    isKilled = true;
    clock.kill();
    log.kill();
    checkpoints.kill();
  };
  return { notifier, log, registry, kill };
}

/** Appends to the alerts as a processor does. */
export async function appendAlerts(log: MemoryLog, timestamp: number, ...alerts: Alert[]): Promise<void> {
  const records = alerts.map((alert) => ({
    key: alert.device,
    value: Buffer.from(JSON.stringify(alert)),
    timestamp,
  }));
  await log.append(TOPICS.alerts, records);
}
