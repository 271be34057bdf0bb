/**
 * The notifier's decisions: who is told what, and when. Pure: time comes as an argument, nothing is sent here.
 *
 * `step` changes the state and says what it kept back; what is to be sent stands in `state.pending`. The caller
 * commits `state` before it sends anything, and hands back what became of it. So after a crash at any point the same
 * notifications go out under the same ids.
 */
import type { Alert } from "../../contracts/alert.js";
import type { AlertCommand } from "../commands.js";
import type { NotifierConfig } from "../config.js";
import type { Context, Output } from "./context.js";
import { done, type Failure, failed } from "./delivery.js";
import { escalate, flush } from "./flush.js";
import { Inhibition } from "./inhibit.js";
import { join, takeAlert, takeCommand } from "./intake.js";
import { groupKey, groupLabels, Routes } from "./routes.js";
import type { NotifierState } from "./state.js";
import { Suppressor } from "./suppress.js";
import { evict, sweep } from "./sweep.js";

export type { Output } from "./context.js";

export type Event =
  | { kind: "alert"; alert: Alert }
  | { kind: "command"; command: AlertCommand }
  /** Time has passed: look at what is due. */
  | { kind: "tick" }
  /** The channel has accepted the notification `id`. */
  | { kind: "sent"; id: string }
  | { kind: "failed"; id: string; failure: Failure }
  /** The dead-letter callback has taken the notification `id`. */
  | { kind: "buried"; id: string };

const SWEEP_INTERVAL_MS = 60_000;

export class NotifierCore {
  readonly state: NotifierState;
  readonly #context: Context;
  #outputs: Output[] = [];
  #sweepAt = 0;

  /**
   * @param state as it was committed: what the configuration does not know any more is let go
   * @param wantEveryAlert ids of the channels whose reader is a program
   */
  constructor(
    config: NotifierConfig,
    state: NotifierState,
    now: number,
    wantEveryAlert: ReadonlySet<string> = new Set(),
  ) {
    this.state = state;
    const inhibition = new Inhibition(config.inhibit_rules);
    this.#context = {
      config,
      routes: new Routes(config.route),
      channels: channelsOf(config, wantEveryAlert),
      state,
      inhibition,
      suppressor: new Suppressor(config, state, inhibition),
      say: (output) => this.#outputs.push(output),
    };
    this.#adopt(now);
  }

  step(event: Event, now: number): Output[] {
    const context = this.#context;
    this.#outputs = [];
    switch (event.kind) {
      case "alert":
        takeAlert(context, event.alert, now);
        evict(context);
        break;
      case "command":
        takeCommand(context, event.command);
        break;
      case "tick":
        this.#tick(now);
        break;
      case "failed":
        failed(context, event.id, event.failure, now);
        break;
      default:
        done(context, event.id, now);
    }
    return this.#outputs;
  }

  /** When the next `tick` is wanted, epoch milliseconds. */
  nextTick(): number {
    let next = this.#sweepAt;
    for (const { dueAt, escalateAt } of this.state.groups.values()) {
      if (dueAt < next) next = dueAt;
      if (escalateAt !== null && escalateAt < next) next = escalateAt;
    }
    return next;
  }

  #tick(now: number): void {
    const { state, routes } = this.#context;
    // Escalations first: they open groups that are due at once.
    for (const group of [...state.groups.values()]) {
      const route = routes.get(group.route)!;
      if (group.escalateAt !== null && group.escalateAt <= now) escalate(this.#context, group, route, now);
    }
    for (const group of [...state.groups.values()]) {
      if (group.dueAt <= now) flush(this.#context, group, routes.get(group.route)!, now);
    }
    if (this.#sweepAt > now) return;
    sweep(this.#context, now);
    this.#sweepAt = now + SWEEP_INTERVAL_MS;
  }

  /** Brings stored state under the configuration as it is now, which may have changed since. */
  #adopt(now: number): void {
    const { state, routes, channels, inhibition } = this.#context;
    this.#sweepAt = now + SWEEP_INTERVAL_MS;
    for (const group of [...state.groups.values()]) {
      const route = routes.get(group.route);
      if (!route || group.step > route.escalation.length) state.removeGroup(group.key);
    }
    for (const { alert } of state.alerts.values()) {
      if (alert.state !== "firing") continue;
      inhibition.add(alert);
      const wanted = routes.of(alert);
      const keys = new Set(wanted.map((route) => groupKey(route.id, 0, groupLabels(route, alert))));
      for (const member of [...state.membershipsOf(alert.id)]) {
        if (state.groups.get(member.group)!.step === 0 && !keys.has(member.group)) state.removeMember(member);
      }
      for (const route of wanted) join(this.#context, route, alert, now);
    }
    const known = new Set([...channels.values()].flat().map(({ id }) => id));
    for (const [id, pending] of [...state.pending.values()].map(
      (row) => [row.notification.id, row] as const,
    )) {
      if (known.has(pending.notification.channel)) continue;
      pending.dead ??= "the channel is not configured any more";
      state.pending.touch(id);
    }
  }
}

/** Identity of a channel: what it was told is remembered under it. */
export function channelId(receiver: string, channel: { name?: string | undefined; type: string }): string {
  return `${receiver}/${channel.name ?? channel.type}`;
}

function channelsOf({ receivers }: NotifierConfig, wantEveryAlert: ReadonlySet<string>): Context["channels"] {
  return new Map(
    receivers.map(({ name, channels }) => [
      name,
      channels.map((channel) => {
        const id = channelId(name, channel);
        return { id, sendResolved: channel.send_resolved, wantsEveryAlert: wantEveryAlert.has(id) };
      }),
    ]),
  );
}
