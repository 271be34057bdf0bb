/**
 * What became of a notification that was sent: arrived, to be tried again, or given up.
 */
import type { Context } from "./context.js";
import { catchUp } from "./flush.js";
import type { Pending } from "./state.js";

/** A server may ask for patience, but not for ever. */
const MAX_RETRY_AFTER_MS = 3_600_000;

export interface Failure {
  retryable: boolean;
  /** For a person; holds no secret. */
  message: string;
  retryAfterMs?: number | undefined;
}

/** The other side has it, or the dead-letter callback has: it is no longer pending. */
export function done(context: Context, id: string, now: number): void {
  const { state, routes } = context;
  const pending = state.pending.get(id);
  if (!pending) return;
  state.pending.delete(id);
  const { groupKey, channel: channelId } = pending.notification;
  const group = state.groups.get(groupKey);
  const channel = group?.channels[channelId];
  if (!group || channel?.pending !== id) return;
  channel.pending = null;
  if (pending.dead === null) channel.lastAt = Math.max(channel.lastAt, now);
  state.groups.touch(groupKey);
  const route = routes.get(group.route);
  const isBehind = channel.deferred;
  channel.deferred = false;
  if (route && isBehind) catchUp(context, group, route, channelId, now);
}

/** It did not arrive, or nobody knows. */
export function failed({ state, config }: Context, id: string, failure: Failure, now: number): void {
  const pending = state.pending.get(id);
  if (!pending || pending.dead !== null) return;
  const { min_delay, max_delay, max_attempts, max_age } = config.retry;
  pending.attempts++;
  const backoffMs = Math.min(max_delay, min_delay * 2 ** Math.min(pending.attempts - 1, 30));
  const askedMs = Math.min(failure.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
  pending.dueAt = now + Math.max(backoffMs, askedMs);
  if (!failure.retryable) pending.dead = failure.message;
  else if (pending.attempts >= max_attempts) pending.dead = gaveUp(pending, failure);
  else if (pending.dueAt - pending.notification.createdAt > max_age) pending.dead = gaveUp(pending, failure);
  if (pending.dead !== null) pending.dueAt = now;
  state.pending.touch(id);
}

function gaveUp({ attempts }: Pending, { message }: Failure): string {
  return `given up after ${attempts} attempts: ${message}`;
}
