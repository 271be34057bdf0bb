/**
 * Holds the alerts of a run against the anomalies that were injected: what was found, how soon, and what was cried for
 * nothing.
 */
import type { Alert } from "../contracts/alert.js";
import type { AlertQuery } from "../contracts/ports/store.js";
import type { Anomaly, AnomalyKind } from "./anomalies.js";
import { type Latency, summarise } from "./latency.js";
import type { Ledger } from "./ledger.js";

/** Reads alerts, newest first. */
export type AlertSource = (query: AlertQuery) => Promise<Alert[]>;

export interface DetectionVerdict {
  /** Injected anomalies that the run reached. */
  labels: number;
  /** Those with at least one alert. */
  detected: number;
  /** Alerts of the fleet's devices during the run, and those of them that belong to no anomaly. */
  alerts: number;
  falseAlerts: number;
  /** Part of the alerts that belong to an anomaly; undefined without alerts. */
  precision: number | undefined;
  /** Part of the anomalies that were detected; undefined without anomalies. */
  recall: number | undefined;
  /** Event time from the start of a detected anomaly to its first alert, milliseconds. */
  timeToDetect: Latency;
  byKind: Partial<Record<AnomalyKind, { labels: number; detected: number }>>;
}

/** An alert this long after the end of an anomaly still belongs to it: the way back to normal is a change too. */
export const AFTERMATH_MS = 60_000;
/** More alerts of one device than anyone would look at. */
const ALERTS_PER_DEVICE = 500;
const CONCURRENCY = 8;

/** @throws SluiceError STORE_UNAVAILABLE */
export async function judgeAlerts(ledger: Ledger, source: AlertSource): Promise<DetectionVerdict> {
  const span = eventSpan(ledger);
  const labels = ledger.header.anomalies.filter(({ from }) => from >= span.from && from <= span.to);
  const alerts = await alertsOf(ledger, source, span);
  const matched = new Set<Alert>();
  const times: number[] = [];
  const byKind: DetectionVerdict["byKind"] = {};
  for (const label of labels) {
    byKind[label.kind] ??= { labels: 0, detected: 0 };
    const tally = byKind[label.kind]!;
    tally.labels++;
    const own = alerts.filter((alert) => belongs(alert, label, ledger));
    for (const alert of own) matched.add(alert);
    if (own.length === 0) continue;
    tally.detected++;
    times.push(Math.min(...own.map(({ startedAt }) => startedAt)) - label.from);
  }
  return {
    labels: labels.length,
    detected: times.length,
    alerts: alerts.length,
    falseAlerts: alerts.length - matched.size,
    precision: alerts.length > 0 ? matched.size / alerts.length : undefined,
    recall: labels.length > 0 ? times.length / labels.length : undefined,
    timeToDetect: summarise(Float64Array.from(times)),
    byKind,
  };
}

function belongs({ device, metric, startedAt }: Alert, label: Anomaly, ledger: Ledger): boolean {
  const { from, to } = label;
  const same = device === ledger.deviceId(label.device) && metric === label.metric;
  return same && startedAt >= from && startedAt < to + AFTERMATH_MS;
}

/** Event times of the first and the last reading. */
function eventSpan(ledger: Ledger): { from: number; to: number } {
  let [from, to] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let n = 0; n < ledger.size; n++) {
    if (ledger.invalid(n)) continue;
    from = Math.min(from, ledger.ts(n));
    to = Math.max(to, ledger.ts(n));
  }
  return { from, to };
}

async function alertsOf(
  ledger: Ledger,
  source: AlertSource,
  span: { from: number; to: number },
): Promise<Alert[]> {
  const found: Alert[] = [];
  const queue = Array.from({ length: ledger.header.devices }, (_, index) => ledger.deviceId(index));
  const worker = async () => {
    for (let device = queue.shift(); device !== undefined; device = queue.shift()) {
      found.push(...(await source({ device, limit: ALERTS_PER_DEVICE })));
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return found.filter(({ startedAt }) => startedAt >= span.from && startedAt <= span.to);
}
