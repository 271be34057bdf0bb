/**
 * The notifier as a part of a process: it stands by until it owns the commands topic, then is the one that notifies.
 *
 * Ownership is membership of the consumer group `sluice-notifier` on the one partition of the commands: any number of
 * processes may run a notifier, one is active, and another takes over when it is gone. Taking the state over fences
 * the one before, so that a process which only seemed dead can commit nothing any more.
 */
import { hasCode, SluiceError } from "../contracts/errors.js";
import type { Channel } from "../contracts/ports/channel.js";
import type { Checkpoints } from "../contracts/ports/checkpoint.js";
import type { Clock } from "../contracts/ports/clock.js";
import type { Log, Offset, PartitionHandler } from "../contracts/ports/log.js";
import type { Logger } from "../runtime/logger.js";
import type { Registry } from "../runtime/metrics.js";
import { retry } from "../runtime/retry.js";
import { ALERT_COMMANDS } from "./commands.js";
import type { ChannelConfig, NotifierConfig } from "./config.js";
import { channelId } from "./core/core.js";
import type { Ack, Group, Pending, Silence } from "./core/state.js";
import { type NotifierMetrics, notifierMetrics } from "./metrics.js";
import { RateLimit } from "./rate-limit.js";
import type { OnDead, Outlet } from "./sender.js";
import { Session } from "./session.js";

export const NOTIFIER_GROUP = "sluice-notifier";

export interface NotifierOptions {
  log: Log;
  checkpoints: Checkpoints;
  clock: Clock;
  logger: Logger;
  registry: Registry;
  config: NotifierConfig;
  /** Makes the channel of one entry of a receiver. @throws SluiceError CONFIG_INVALID */
  channels: (config: ChannelConfig, id: string) => Channel;
  /** Takes a notification that was given up. Asked again until it resolves; may be asked twice after a crash. */
  onDead: OnDead;
}

export interface NotifierSnapshot {
  /** False while this process stands by: then the rest is empty. */
  active: boolean;
  silences: Silence[];
  acks: Ack[];
  pending: Pending[];
  groups: (Group & { alerts: string[] })[];
}

export interface Notifier {
  snapshot(): NotifierSnapshot;
  close(): Promise<void>;
}

const TASK = { group: NOTIFIER_GROUP, topic: ALERT_COMMANDS.name, partition: 0 };

/**
 * Starts the notifier; does not wait for the log.
 * @throws SluiceError CONFIG_INVALID by a channel
 */
export function startNotifier(options: NotifierOptions): Notifier {
  const notifier = new Supervisor(options);
  notifier.start();
  return notifier;
}

class Supervisor implements Notifier {
  readonly #options: NotifierOptions;
  readonly #logger: Logger;
  readonly #outlets: ReadonlyMap<string, Outlet>;
  readonly #metrics: NotifierMetrics;
  readonly #stop = new AbortController();
  #session: Session | undefined;
  #running: Promise<void> = Promise.resolve();
  #closed: Promise<void> | undefined;

  constructor(options: NotifierOptions) {
    this.#options = options;
    this.#logger = options.logger.child({ part: "notifier" });
    this.#outlets = new Map(
      options.config.receivers.flatMap(({ name, channels }) =>
        channels.map((config): [string, Outlet] => {
          const id = channelId(name, config);
          const limit = new RateLimit(config.rate_limit, options.clock.now());
          return [id, { channel: options.channels(config, id), limit }];
        }),
      ),
    );
    this.#metrics = notifierMetrics(options.registry, [...this.#outlets.keys()], {
      pending: () => this.#session?.state.pending.size ?? 0,
      isActive: () => this.#session !== undefined,
    });
  }

  start(): void {
    this.#running = this.#run();
  }

  snapshot(): NotifierSnapshot {
    const state = this.#session?.state;
    if (!state) return { active: false, silences: [], acks: [], pending: [], groups: [] };
    const copy = structuredClone({
      silences: [...state.silences.values()],
      acks: [...state.acks.values()],
      pending: [...state.pending.values()],
      groups: Array.from(state.groups.values(), (group) => ({
        ...group,
        alerts: Array.from(state.membersOf(group.key), ({ alert }) => alert),
      })),
    });
    return { active: true, ...copy };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    for (const { channel } of this.#outlets.values()) await channel.close?.();
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    try {
      await retry(() => this.#serve(), {
        clock,
        signal,
        retryable: () => !signal.aborted,
        onRetry: (error, attempt, delayMs) => this.#explain(error, attempt, delayMs),
      });
    } catch (error) {
      if (!signal.aborted) this.#logger.error({ err: error }, "nobody is notified any more");
    }
  }

  #explain(error: unknown, attempt: number, delayMs: number): void {
    if (!hasCode(error, "STATE_LOCKED"))
      this.#logger.warn({ err: error, attempt, delayMs }, "nobody is notified by this process for now");
    else if (attempt === 1) this.#logger.info("standing by: another process notifies");
  }

  /** Subscribes, and serves until it ends. */
  async #serve(): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#stop;
    await log.ensureTopics([ALERT_COMMANDS]);
    const failure = settleable();
    const subscription = await log.subscribe(
      NOTIFIER_GROUP,
      ALERT_COMMANDS.name,
      this.#handler(failure.reject),
    );
    const stopped = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
    try {
      await Promise.race([subscription.done, failure.promise, stopped]);
    } finally {
      await subscription.close();
    }
    if (!signal.aborted) throw new SluiceError("LOG_UNAVAILABLE", "the subscription to alert commands ended");
  }

  #handler(onFailure: (error: unknown) => void): PartitionHandler {
    return {
      assigned: () => this.#assigned(onFailure),
      batch: (_, records) => {
        if (!this.#session)
          throw new Error("alert commands came while this process is not the active notifier");
        return this.#session.command(records);
      },
      revoked: async (_, why) => {
        const session = this.#session;
        this.#session = undefined;
        if (why === "lost") await session?.drop();
        else await session?.close();
        this.#logger.info({ why }, "no longer the active notifier");
      },
      fellBehind: (_, from, to) =>
        this.#logger.error(
          { from, to },
          "retention removed alert commands [from, to) that were not followed",
        ),
    };
  }

  async #assigned(onFailure: (error: unknown) => void): Promise<Offset> {
    const session = await this.#restore();
    this.#session = session;
    session.ended.catch(onFailure);
    this.#logger.info({ offset: session.offset }, "this process is the active notifier");
    return session.offset;
  }

  async #restore(): Promise<Session> {
    const start = () =>
      Session.start({
        ...this.#options,
        logger: this.#logger,
        outlets: this.#outlets,
        metrics: this.#metrics,
        task: TASK,
      });
    try {
      return await start();
    } catch (error) {
      if (!hasCode(error, "STATE_CORRUPT")) throw error;
      this.#logger.error({ err: error }, "notifier state cannot be read: starting afresh from the log");
      await this.#options.checkpoints.discard(TASK);
      return await start();
    }
  }
}

/** A promise that somebody else rejects. */
function settleable(): { promise: Promise<never>; reject: (error: unknown) => void } {
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<never>((_, no) => {
    reject = no;
  });
  promise.catch(() => undefined);
  return { promise, reject };
}
