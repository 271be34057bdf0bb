/**
 * What the rules of the core work on, and what they say.
 */
import type { Alert } from "../../contracts/alert.js";
import type { NotifierConfig } from "../config.js";
import type { Inhibition } from "./inhibit.js";
import type { Routes } from "./routes.js";
import type { NotifierState, Suppression } from "./state.js";
import type { Suppressor } from "./suppress.js";

/** Said for the log and the metrics. What is to be sent stands in the state, as `pending`. */
export type Output =
  | { kind: "suppressed"; why: Suppression | "brief"; alert: Alert }
  /** Let go before its time: there are more alerts than `max_alerts`. */
  | { kind: "evicted"; alert: Alert }
  /** A command that cannot be followed. */
  | { kind: "refused"; reason: string };

export interface ChannelRef {
  /** `receiver/name`. */
  id: string;
  /** It is told of ends, too. */
  sendResolved: boolean;
  /** Alerts that do not fit into one notification follow in the next. */
  wantsEveryAlert: boolean;
}

export interface Context {
  config: NotifierConfig;
  routes: Routes;
  /** By receiver. */
  channels: ReadonlyMap<string, readonly ChannelRef[]>;
  state: NotifierState;
  inhibition: Inhibition;
  suppressor: Suppressor;
  say(output: Output): void;
}
