/**
 * Makes a notification out of what a group has to tell.
 */
import { hash } from "node:crypto";
import type { Alert, Severity } from "../../contracts/alert.js";
import {
  MAX_ALERTS_SHOWN,
  type Notification,
  type NotificationCause,
  type NotifiedAlert,
} from "../../contracts/ports/channel.js";
import type { Group } from "./state.js";

const RANK: Record<Severity, number> = { critical: 0, warning: 1, info: 2 };

export interface Told {
  cause: NotificationCause;
  alerts: NotifiedAlert[];
  /** How many there are, also beyond `alerts`. */
  firing: number;
  resolved: number;
  now: number;
}

export function makeNotification(
  group: Group,
  to: { receiver: string; channel: string },
  told: Told,
): Notification {
  const { cause, alerts, firing, resolved, now } = told;
  return {
    v: 1,
    id: notificationId(group, to.channel, alerts),
    groupKey: group.key,
    groupLabels: group.labels,
    ...to,
    status: firing > 0 ? "firing" : "resolved",
    cause,
    ...(group.step > 0 ? { escalation: group.step } : {}),
    alerts: [...alerts].sort(worstFirst).slice(0, MAX_ALERTS_SHOWN),
    firing,
    resolved,
    createdAt: now,
  };
}

/**
 * A hash of group, channel, alerts with their states, and the epoch (when the group began, and how many it has made):
 * all of it is committed before anything is sent, so another process makes no other id.
 */
function notificationId(group: Group, channel: string, alerts: readonly Alert[]): string {
  const states = alerts.map(({ id, state }) => [id, state]).sort(([a], [b]) => (a! < b! ? -1 : 1));
  const text = JSON.stringify([group.key, channel, states, group.createdAt, group.epoch]);
  return hash("sha256", text, "hex").slice(0, 32);
}

function worstFirst(a: Alert, b: Alert): number {
  if (a.state !== b.state) return a.state === "firing" ? -1 : 1;
  return RANK[a.severity] - RANK[b.severity] || a.startedAt - b.startedAt || (a.id < b.id ? -1 : 1);
}
