/**
 * The channel port: how a notification leaves Sluice, and what is in it. One adapter per kind in adapters/notify.
 *
 * Guarantees asked of an adapter: `send` resolves only when the other side has accepted the notification; it hands
 * `notification.id` over, so that a repeat can be told from a new one; it ends within a time limit of its own; an
 * error never contains a secret.
 */
import type { Alert } from "../alert.js";

/** An alert as a notification shows it. */
export interface NotifiedAlert extends Alert {
  /** Present when a person has taken it. */
  acknowledgedBy?: string;
}

/** Why a group is told of at all: something fires anew, something ended, or it still fires. */
export type NotificationCause = "new" | "resolved" | "repeat";

/** One message to one channel about one group of alerts. Times are epoch milliseconds. */
export interface Notification {
  v: 1;
  /** Deterministic: every attempt, also by another process after a crash, has the same. */
  id: string;
  /** Identity of the group: the same over all its notifications. */
  groupKey: string;
  /** What the alerts of the group share (`group_by`). */
  groupLabels: Record<string, string>;
  receiver: string;
  /** `receiver/name` of the channel. */
  channel: string;
  /** `firing` when at least one alert fires. */
  status: "firing" | "resolved";
  cause: NotificationCause;
  /** Present when it is here because nobody acknowledged: 1 for the first escalation. */
  escalation?: number;
  /** Worst first, at most {@link MAX_ALERTS_SHOWN}. */
  alerts: NotifiedAlert[];
  /** Of all alerts of the group that are told of, also those not shown. */
  firing: number;
  resolved: number;
  /** When it was decided on. */
  createdAt: number;
}

/** More than this no person reads. `firing` and `resolved` count the rest. */
export const MAX_ALERTS_SHOWN = 100;

export interface Channel {
  /** Of the kind: `webhook`, `slack` ... */
  readonly name: string;
  /** Its reader is a program: alerts beyond {@link MAX_ALERTS_SHOWN} follow in further notifications. */
  readonly wantsEveryAlert?: boolean;
  /** @throws ChannelError */
  send(notification: Notification, signal: AbortSignal): Promise<void>;
  close?(): Promise<void>;
}

/** Codes of {@link ChannelError}. */
export type ChannelErrorCode =
  /** No answer: refused, reset, name not found. */
  | "UNREACHABLE"
  | "TIMEOUT"
  /** The other side asks to slow down. */
  | "RATE_LIMITED"
  /** The other side failed. */
  | "SERVER_ERROR"
  /** The other side does not know us. */
  | "UNAUTHORIZED"
  /** The other side does not want this notification: it never will. */
  | "REJECTED";

const PERMANENT: ReadonlySet<ChannelErrorCode> = new Set(["REJECTED", "UNAUTHORIZED"]);

/** A notification that was not accepted. Permanent ones are not tried again. */
export class ChannelError extends Error {
  readonly code: ChannelErrorCode;
  /** When the other side said how long to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(code: ChannelErrorCode, message: string, options?: { cause?: unknown; retryAfterMs?: number }) {
    super(message, options);
    this.name = "ChannelError";
    this.code = code;
    this.retryAfterMs = options?.retryAfterMs;
  }

  get retryable(): boolean {
    return !PERMANENT.has(this.code);
  }
}
