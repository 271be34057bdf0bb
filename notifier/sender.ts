/**
 * Sends what is pending: per channel one at a time, oldest first, no faster than its rate limit.
 *
 * Guarantees: what is handed in is committed already; every attempt ends within `timeoutMs`, whatever the channel
 * does, and its end is reported once.
 */

import { type Channel, ChannelError, type Notification } from "../contracts/ports/channel.js";
import type { Clock } from "../contracts/ports/clock.js";
import type { Logger } from "../runtime/logger.js";
import type { Event } from "./core/core.js";
import type { Pending } from "./core/state.js";
import type { NotifierMetrics } from "./metrics.js";
import type { RateLimit } from "./rate-limit.js";

export interface Outlet {
  channel: Channel;
  limit: RateLimit;
}

export type OnDead = (notification: Notification, reason: string) => Promise<void> | void;

export interface SenderOptions {
  outlets: ReadonlyMap<string, Outlet>;
  clock: Clock;
  logger: Logger;
  metrics: NotifierMetrics;
  timeoutMs: number;
  onDead: OnDead;
  /** Told what became of a notification. */
  report: (event: Event) => void;
}

const BURY_AGAIN_MS = 5_000;

export class Sender {
  readonly #options: SenderOptions;
  /** Notifications by the channel that is busy with them, until their report was taken. */
  readonly #sending = new Map<string, string>();
  readonly #burying = new Set<string>();
  /** When the dead-letter callback, which failed, is asked again. */
  readonly #buryAt = new Map<string, number>();
  readonly #stop = new AbortController();

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  get isBusy(): boolean {
    return this.#sending.size > 0 || this.#burying.size > 0;
  }

  /** Starts what can be started. @returns when to come back, besides after a report */
  dispatch(rows: Iterable<Pending>, now: number): number {
    let wakeAt = Number.POSITIVE_INFINITY;
    const oldest = [...rows].sort((a, b) => a.notification.createdAt - b.notification.createdAt);
    for (const row of oldest) {
      const startAt =
        row.dead === null ? this.#startAt(row, now) : (this.#buryAt.get(row.notification.id) ?? now);
      if (startAt > now) wakeAt = Math.min(wakeAt, startAt);
      else if (row.dead === null) void this.#send(row.notification);
      else if (!this.#burying.has(row.notification.id)) void this.#bury(row.notification, row.dead);
    }
    return wakeAt;
  }

  /** The report about `id` is in the state: it may be dispatched again, if it is still pending. */
  taken(id: string): void {
    this.#burying.delete(id);
    for (const [channel, sending] of this.#sending) {
      if (sending === id) this.#sending.delete(channel);
    }
  }

  /** Ends the attempts under way; nothing is reported any more. */
  abort(): void {
    this.#stop.abort();
  }

  /** Infinite while the channel is busy: its report brings us back. Takes a token when it can start now. */
  #startAt({ notification, dueAt }: Pending, now: number): number {
    const outlet = this.#options.outlets.get(notification.channel);
    if (!outlet || this.#sending.has(notification.channel)) return Number.POSITIVE_INFINITY;
    if (dueAt > now) return dueAt;
    return outlet.limit.take(now) ? now : outlet.limit.nextAt(now);
  }

  async #send(notification: Notification): Promise<void> {
    const { logger, metrics } = this.#options;
    const { id, channel } = notification;
    this.#sending.set(channel, id);
    const error = await this.#attempt(notification).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (this.#stop.signal.aborted) return;
    if (error === undefined) {
      metrics.sent.inc({ channel });
      logger.debug({ notification: id, channel }, "notification sent");
      this.#options.report({ kind: "sent", id });
      return;
    }
    metrics.failed.inc({ channel });
    const failure = failureOf(error);
    // The error itself may hold a request with its secrets: only what the channel says of it is logged.
    logger.warn({ notification: id, channel, ...failure }, "a notification was not accepted");
    this.#options.report({ kind: "failed", id, failure });
  }

  async #attempt(notification: Notification): Promise<void> {
    const { clock, outlets, timeoutMs } = this.#options;
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, this.#stop.signal]);
    const limit = clock.sleep(timeoutMs, signal).then(() => {
      throw new ChannelError("TIMEOUT", `no answer within ${timeoutMs} ms`);
    });
    try {
      const { channel } = outlets.get(notification.channel)!;
      await Promise.race([channel.send(notification, signal), limit]);
    } finally {
      over.abort();
    }
  }

  async #bury(notification: Notification, reason: string): Promise<void> {
    const { clock, logger, metrics, onDead } = this.#options;
    const { id, channel } = notification;
    this.#burying.add(id);
    try {
      await onDead(notification, reason);
      if (this.#stop.signal.aborted) return;
      metrics.dead.inc({ channel });
      logger.error({ notification: id, channel, reason }, "a notification was given up");
      this.#buryAt.delete(id);
      this.#options.report({ kind: "buried", id });
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      logger.error(
        { err: error, notification: id, channel },
        "the dead letter of a notification was not taken",
      );
      this.#buryAt.set(id, clock.now() + BURY_AGAIN_MS);
      this.#burying.delete(id);
      this.#options.report({ kind: "tick" });
    }
  }
}

function failureOf(error: unknown): {
  retryable: boolean;
  message: string;
  retryAfterMs?: number | undefined;
} {
  if (error instanceof ChannelError) {
    const { retryable, code, message, retryAfterMs } = error;
    return { retryable, message: `${code}: ${message}`, retryAfterMs };
  }
  // A fault of ours, not the other side's word: the next attempt may fare better, and attempts are bounded.
  return { retryable: true, message: `unexpected ${(error as Error)?.name ?? "error"}` };
}
