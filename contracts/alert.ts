/**
 * An alert: one episode in which a rule held for one series, from its first to its last reading in event time.
 *
 * `id` is a hash of (rule, device, metric, startedAt): a replay of the same log gives the same alert (INV-5, INV-7).
 * A record is complete by itself: the latest one of an id holds everything there is to say of the alert.
 */
import { hash } from "node:crypto";

export type AlertState = "firing" | "resolved";
export type Severity = "info" | "warning" | "critical";

/** The metric of an alert that is about a whole device, such as one that is silent. */
export const WHOLE_DEVICE = "-";

/** One record of `telemetry.alerts` (version 1) and the row of the store. Times are epoch milliseconds. */
export interface Alert {
  v: 1;
  id: string;
  state: AlertState;
  rule: string;
  severity: Severity;
  device: string;
  metric: string;
  /** Event time of the reading that raised it; with `for`, of the first reading of the time it held. Never changes. */
  startedAt: number;
  /** Event time of the latest transition. */
  updatedAt: number;
  /** Event time of the reading that cleared it; present when resolved. */
  resolvedAt?: number;
  /** The value that caused the latest transition. */
  value: number;
  /** The most extreme score since it was raised (0..1; 1 for a plain threshold). */
  score: number;
  /** Name of the detector that judged the value. */
  detector: string;
  /** The score or level the value was held against. */
  threshold: number;
  expected?: number;
  lower?: number;
  upper?: number;
  /** One sentence for the person who is woken. */
  summary: string;
  /** Short hash of the rule's definition at the time. */
  ruleVersion?: string;
  labels?: Record<string, string>;
  /** Texts of the rule with its placeholders filled in. */
  annotations?: Record<string, string>;
  /** When it had held for as long as the rule asks; present when that was not `startedAt`. */
  firedAt?: number;
  /** Late readings changed the interval: no transition, but a record that takes the place of one of the same state. */
  corrected?: true;
  /** Where the interval begins by what came late; `startedAt`, which the id is made of, stays. */
  correctedStartedAt?: number;
  /** It has come and gone so often that it stays until it has been quiet for a while. */
  flapping?: true;
  /** Why it ended, where no reading cleared it. */
  endedBy?: "rule removed";
  /** The latest readings of the series when it fired, by event time: [epoch milliseconds, value]. */
  readings?: [ts: number, value: number][];
  /** Other series of the device that alarmed or moved at about the same time, most extreme first. */
  related?: RelatedSeries[];
  /** Earlier alerts of this rule on this series. */
  before?: { count: number; lastStartedAt?: number };
}

/** Another series of the device that was unusual at the time. */
export interface RelatedSeries {
  metric: string;
  rule: string;
  /** Event time of the reading that scored. */
  ts: number;
  value: number;
  score: number;
  /** The score reached its rule's threshold. */
  alarm: boolean;
}

/** The deterministic id of an alert: 128 bits of SHA-256 as hex. */
export function alertId(rule: string, device: string, metric: string, startedAt: number): string {
  return hash("sha256", JSON.stringify([rule, device, metric, startedAt]), "hex").slice(0, 32);
}
