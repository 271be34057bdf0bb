/**
 * Looks at a group when it is due, and makes a notification for each channel that has something to hear.
 *
 * A channel is told of a firing alert once, of its end once, and again of what still fires after `repeat_interval`.
 * While a notification of the group is on its way to a channel, no other is made for it: what comes meanwhile is in
 * the next. So order is kept, and what waits is bounded by groups times channels.
 */
import type { Alert } from "../../contracts/alert.js";
import {
  MAX_ALERTS_SHOWN,
  type NotificationCause,
  type NotifiedAlert,
} from "../../contracts/ports/channel.js";
import type { ChannelRef, Context } from "./context.js";
import { openGroup } from "./intake.js";
import { makeNotification } from "./notification.js";
import type { Route } from "./routes.js";
import type { Group, Member, Suppression } from "./state.js";
import { look } from "./suppress.js";

interface Seen {
  member: Member;
  alert: Alert;
  why: Suppression | null;
}

export function flush(context: Context, group: Group, route: Route, now: number): void {
  const { state, channels } = context;
  const seen = lookAt(context, group, now);
  for (const { id } of channels.get(receiverOf(route, group)) ?? [])
    tell(context, group, route, id, seen, now);
  settle(context, group, route, seen, now);
  group.dueAt = now + route.groupIntervalMs;
  group.escalateAt = nextEscalation(group, route, seen, now);
  state.groups.touch(group.key);
  if (isEmpty(context, group)) state.removeGroup(group.key);
}

/** Tells one channel what came while it was busy. */
export function catchUp(context: Context, group: Group, route: Route, channel: string, now: number): void {
  const seen = lookAt(context, group, now);
  tell(context, group, route, channel, seen, now);
  settle(context, group, route, seen, now);
  context.state.groups.touch(group.key);
}

/** Lets go of what ended and was told everywhere, and starts the escalation of what was told. */
function settle(context: Context, group: Group, route: Route, seen: readonly Seen[], now: number): void {
  const isDeferred = Object.values(group.channels).some(({ deferred }) => deferred);
  for (const { member, alert, why } of seen) {
    if (alert.state === "resolved") {
      if (!isDeferred) forget(context, { member, alert, why }, route);
    } else if (why === null && member.since === null) {
      member.since = now;
      context.state.touchMember(member);
    }
  }
}

function lookAt(context: Context, group: Group, now: number): Seen[] {
  const { state, suppressor } = context;
  return [...state.membersOf(group.key)].flatMap((member) => {
    const alert = state.alerts.get(member.alert)?.alert;
    if (!alert) return [];
    // Of an alert that ended it matters too whether it was kept back while it fired, which the member remembers.
    const why =
      alert.state === "firing"
        ? look(context, member, alert, now)
        : (member.why ?? suppressor.why(alert, now));
    return [{ member, alert, why }];
  });
}

export function receiverOf(route: Route, { step }: Group): string {
  return step === 0 ? route.receiver : route.escalation[step - 1]!.receiver;
}

function tell(
  context: Context,
  group: Group,
  route: Route,
  id: string,
  seen: readonly Seen[],
  now: number,
): void {
  const receiver = receiverOf(route, group);
  const config = context.channels.get(receiver)?.find((channel) => channel.id === id);
  if (config === undefined) return;
  group.channels[id] ??= { pending: null, deferred: false, lastAt: 0 };
  const channel = group.channels[id];
  channel.deferred = channel.pending !== null;
  if (channel.deferred) return;
  const news = newsFor(group, route, config, seen, now);
  if (news === undefined) return;
  if (news.cause === "repeat" && news.firing.length > MAX_ALERTS_SHOWN) {
    // Over several notifications: all count as not told, until they are again.
    for (const { member } of news.firing) delete member.told[id];
  }
  const told = config.wantsEveryAlert ? firstPage(news, id) : [...news.firing, ...news.resolved];
  const notification = makeNotification(
    group,
    { receiver, channel: id },
    {
      cause: news.cause,
      alerts: told.map(({ alert }) => shown(context, alert)),
      firing: news.firing.length,
      resolved: news.resolved.length,
      now,
    },
  );
  group.epoch++;
  channel.pending = notification.id;
  channel.deferred = told.length < news.firing.length + news.resolved.length;
  channel.lastAt = now;
  context.state.pending.set(notification.id, { notification, attempts: 0, dueAt: now, dead: null });
  for (const { member, alert } of told) {
    member.told[id] = alert.state;
    context.state.touchMember(member);
  }
}

/** What fits, news before what was told already. */
function firstPage({ firing, resolved }: News, channel: string): Seen[] {
  const isNew = ({ member, alert }: Seen) => member.told[channel] !== alert.state;
  const fresh = [...firing, ...resolved].filter(isNew);
  return [...fresh, ...firing.filter((one) => !isNew(one))].slice(0, MAX_ALERTS_SHOWN);
}

interface News {
  cause: NotificationCause;
  firing: Seen[];
  resolved: Seen[];
}

function newsFor(
  group: Group,
  route: Route,
  { id, sendResolved }: ChannelRef,
  seen: readonly Seen[],
  now: number,
): News | undefined {
  const firing = seen.filter(({ member, alert, why }) => {
    if (alert.state !== "firing") return false;
    return why === null || (why === "acknowledged" && member.told[id] === "firing");
  });
  const brief = seen.filter((one) => group.step === 0 && route.notifyBrief && isBrief(one, id));
  const ended = sendResolved ? seen.filter((one) => isEnd(one, id)) : [];
  const resolved = [...ended, ...brief];
  const isFresh = firing.some(({ member }) => member.told[id] !== "firing");
  if (isFresh || brief.length > 0) return { cause: "new", firing, resolved };
  if (ended.length > 0) return { cause: "resolved", firing, resolved };
  const isOverdue = now >= group.channels[id]!.lastAt + route.repeatIntervalMs;
  const isOpen = firing.some(({ why }) => why === null);
  return isOverdue && isOpen ? { cause: "repeat", firing, resolved } : undefined;
}

/** Whoever was told that it fires is told that it ended, silenced or not: else an incident would stay open. */
function isEnd({ member, alert }: Seen, channel: string): boolean {
  return alert.state === "resolved" && member.told[channel] === "firing";
}

/** Fired and ended before the channel heard of it. */
function isBrief({ member, alert, why }: Seen, channel: string): boolean {
  return alert.state === "resolved" && member.told[channel] === undefined && why === null;
}

function shown({ state }: Context, alert: Alert): NotifiedAlert {
  const ack = state.acks.get(alert.id);
  return ack ? { ...alert, acknowledgedBy: ack.author } : alert;
}

function forget({ state, say }: Context, { member, alert, why }: Seen, route: Route): void {
  if (Object.keys(member.told).length === 0 && member.why === null) {
    if (why !== null) say({ kind: "suppressed", why, alert });
    else if (!route.notifyBrief) say({ kind: "suppressed", why: "brief", alert });
  }
  state.removeMember(member);
}

/** Hands alerts that nobody acknowledged in time to the next receiver. */
export function escalate(context: Context, group: Group, route: Route, now: number): void {
  const { state } = context;
  const seen = lookAt(context, group, now);
  for (const { member, alert, why } of seen) {
    if (alert.state !== "firing" || why !== null) continue;
    while ((dueAt(member, route) ?? Number.POSITIVE_INFINITY) <= now) {
      member.escalated++;
      state.touchMember(member);
      const wanted = { route, step: member.escalated, labels: group.labels, dueAt: now };
      const next = openGroup(context, wanted, now);
      if (state.member(next.key, alert.id)) continue;
      state.addMember(next.key, alert.id);
      next.dueAt = Math.min(next.dueAt, now);
      state.groups.touch(next.key);
    }
  }
  group.escalateAt = nextEscalation(group, route, seen, now);
  state.groups.touch(group.key);
}

function nextEscalation(group: Group, route: Route, seen: readonly Seen[], now: number): number | null {
  if (group.step > 0) return null;
  const times = seen.flatMap(({ member, alert, why }) => {
    const at = dueAt(member, route);
    if (at === null || alert.state !== "firing" || why === "acknowledged") return [];
    // One that is kept back is looked at again with its group.
    return why === null ? [at] : [Math.max(at, now + route.groupIntervalMs)];
  });
  return times.length > 0 ? times.reduce((a, b) => Math.min(a, b)) : null;
}

function dueAt(member: Member, route: Route): number | null {
  const step = route.escalation[member.escalated];
  return step === undefined || member.since === null ? null : member.since + step.afterMs;
}

function isEmpty({ state }: Context, group: Group): boolean {
  const isBusy = Object.values(group.channels).some(({ pending }) => pending !== null);
  return !isBusy && [...state.membersOf(group.key)].length === 0;
}
