/**
 * Keeps the state bounded: lets go of what is over, and of the oldest when there is too much.
 */
import type { Context } from "./context.js";

/** An alert that ended is remembered so long: it may still be corrected. */
const ENDED_KEPT_MS = 3_600_000;
/** A silence that ended stays visible so long. */
const SILENCE_KEPT_MS = 86_400_000;
/** An acknowledgement may come before its alert. */
const ACK_KEPT_MS = 86_400_000;

export function sweep(context: Context, now: number): void {
  const { state } = context;
  for (const { alert, seenAt } of state.alerts.values()) {
    if (alert.state === "resolved" && seenAt + ENDED_KEPT_MS <= now && isUnused(context, alert.id))
      state.alerts.delete(alert.id);
  }
  for (const { id, end } of state.silences.values()) {
    if (end + SILENCE_KEPT_MS <= now) state.silences.delete(id);
  }
  for (const { id, at } of state.acks.values()) {
    if (at + ACK_KEPT_MS <= now && !state.alerts.get(id)) state.acks.delete(id);
  }
}

/** Lets go of the alerts that came first while there are more than `max_alerts`: those that ended before all others. */
export function evict(context: Context): void {
  const { state, config, inhibition, say } = context;
  let excess = state.alerts.size - config.max_alerts;
  if (excess <= 0) return;
  for (const { alert } of state.alerts.values()) {
    if (excess <= 0) return;
    if (alert.state !== "resolved" || !isUnused(context, alert.id)) continue;
    state.alerts.delete(alert.id);
    excess--;
  }
  for (const { alert } of state.alerts.values()) {
    if (excess-- <= 0) return;
    say({ kind: "evicted", alert });
    inhibition.remove(alert);
    for (const member of [...state.membershipsOf(alert.id)]) state.removeMember(member);
    state.alerts.delete(alert.id);
  }
}

function isUnused({ state }: Context, alert: string): boolean {
  for (const _ of state.membershipsOf(alert)) return false;
  return true;
}
