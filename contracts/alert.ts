/**
 * An alert: one episode in which a rule held for one series, from its first to its last reading in event time.
 *
 * `id` is a hash of (rule, device, metric, startedAt): a replay of the same log gives the same alert (INV-5, INV-7).
 */
import { hash } from "node:crypto";

export type AlertState = "firing" | "resolved";
export type Severity = "info" | "warning" | "critical";

/** One record of `telemetry.alerts` (version 1) and the row of the store. Times are epoch milliseconds. */
export interface Alert {
  v: 1;
  id: string;
  state: AlertState;
  rule: string;
  severity: Severity;
  device: string;
  metric: string;
  /** Event time of the reading that raised it. */
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
}

/** The deterministic id of an alert: 128 bits of SHA-256 as hex. */
export function alertId(rule: string, device: string, metric: string, startedAt: number): string {
  return hash("sha256", JSON.stringify([rule, device, metric, startedAt]), "hex").slice(0, 32);
}
