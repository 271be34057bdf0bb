/**
 * Takes what the log says: transitions of alerts, and commands of people.
 */
import { hash } from "node:crypto";
import type { Alert } from "../../contracts/alert.js";
import type { AlertCommand } from "../commands.js";
import type { Context } from "./context.js";
import { groupKey, groupLabels, type Route } from "./routes.js";
import type { Group } from "./state.js";
import { look } from "./suppress.js";

const MAX_SERIES = 200_000;
const MAX_SILENCES = 10_000;
const MAX_ACKS = 100_000;

/** A repeat of what is known, or something older, changes nothing. */
export function takeAlert(context: Context, alert: Alert, now: number): void {
  const { state, inhibition } = context;
  const known = state.alerts.get(alert.id);
  const isTaken = known
    ? isLater(alert, known.alert)
    : alert.state === "firing" && isNewEpisode(context, alert);
  if (!isTaken) return;
  state.alerts.set(alert.id, { alert, seenAt: now });
  rememberEpisode(context, alert, now);
  if (known) inhibition.remove(known.alert);
  if (alert.state === "firing") {
    inhibition.add(alert);
    for (const route of context.routes.of(alert)) join(context, route, alert, now);
  }
  for (const member of state.membershipsOf(alert.id)) look(context, member, alert, now);
}

type Transition = Pick<Alert, "state" | "updatedAt">;

function isLater(alert: Transition, known: Transition): boolean {
  if (alert.updatedAt !== known.updatedAt) return alert.updatedAt > known.updatedAt;
  return known.state === "firing" && alert.state === "resolved";
}

/** Episodes of a series come in order of their start: an earlier one was told of, or came before our time. */
function isNewEpisode({ state }: Context, alert: Alert): boolean {
  const latest = state.series.get(seriesKey(alert));
  if (!latest || alert.startedAt !== latest.startedAt) return !latest || alert.startedAt > latest.startedAt;
  return isLater(alert, latest);
}

function rememberEpisode({ state }: Context, alert: Alert, now: number): void {
  const key = seriesKey(alert);
  const latest = state.series.get(key);
  if (latest && latest.startedAt > alert.startedAt) return;
  const { startedAt, updatedAt } = alert;
  // Put at the end: the series that were silent longest are let go first.
  state.series.delete(key);
  state.series.set(key, { startedAt, updatedAt, state: alert.state, seenAt: now });
  if (state.series.size <= MAX_SERIES) return;
  const [oldest] = state.series.keys();
  if (oldest !== undefined) state.series.delete(oldest);
}

function seriesKey({ rule, device, metric }: Alert): string {
  return hash("sha256", JSON.stringify([rule, device, metric]), "hex").slice(0, 32);
}

/** Puts an alert into its group of a route; a new group waits for more of its kind. */
export function join(context: Context, route: Route, alert: Alert, now: number): void {
  const labels = groupLabels(route, alert);
  const group = openGroup(context, { route, step: 0, labels, dueAt: now + route.groupWaitMs }, now);
  if (!context.state.member(group.key, alert.id)) context.state.addMember(group.key, alert.id);
}

export function openGroup(
  { state }: Context,
  wanted: { route: Route; step: number; labels: Record<string, string>; dueAt: number },
  now: number,
): Group {
  const { route, step, labels, dueAt } = wanted;
  const key = groupKey(route.id, step, labels);
  const known = state.groups.get(key);
  if (known) return known;
  const base = { key, route: route.id, step, labels, createdAt: now, dueAt };
  const group: Group = { ...base, escalateAt: null, epoch: 0, channels: {} };
  state.groups.set(key, group);
  return group;
}

export function takeCommand(context: Context, command: AlertCommand): void {
  const reason = follow(context, command);
  if (reason !== undefined) context.say({ kind: "refused", reason });
}

/** @returns why it cannot be followed */
function follow({ state }: Context, command: AlertCommand): string | undefined {
  switch (command.kind) {
    case "silence": {
      const { v, kind, ...silence } = command;
      if (state.silences.size >= MAX_SILENCES && !state.silences.get(command.id))
        return `there are ${MAX_SILENCES} silences already`;
      state.silences.set(command.id, silence);
      return undefined;
    }
    case "expire": {
      const silence = state.silences.get(command.id);
      if (!silence) return `there is no silence ${command.id}`;
      state.silences.set(command.id, { ...silence, end: Math.min(silence.end, command.at) });
      return undefined;
    }
    case "ack": {
      if (state.acks.size >= MAX_ACKS && !state.acks.get(command.id))
        return `${MAX_ACKS} alerts are acknowledged already`;
      const { id, author, comment, at } = command;
      state.acks.set(id, { id, author, comment, at });
      return undefined;
    }
  }
}
