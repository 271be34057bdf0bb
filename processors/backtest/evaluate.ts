/**
 * How good alerts are, held against labels: an alert is right when it fires at some time of a labelled interval of its
 * series, and an interval is found when some alert does. So many alerts within one interval are all right, and find it once.
 */
import type { Alert } from "../../contracts/alert.js";
import { type Labels, seriesOf } from "./labels.js";

const DAY_MS = 86_400_000;

export interface Evaluation {
  /** Alerts that begin, and how many of them are of series that have labels. */
  alerts: number;
  judged: number;
  right: number;
  /** Labelled intervals that overlap the time looked at, and those found. */
  intervals: number;
  found: number;
  /** right / judged; null without any. */
  precision: number | null;
  /** found / intervals; null without any. */
  recall: number | null;
  f1: number | null;
  /** From the beginning of an interval to the first alert in it, over those found; ms. */
  timeToDetectMs: { median: number; max: number } | null;
}

export interface DayCount {
  /** UTC date. */
  day: string;
  firing: number;
  resolved: number;
}

export function evaluate(
  alerts: readonly Alert[],
  labels: Labels,
  { fromMs, toMs }: { fromMs: number; toMs: number },
): Evaluation {
  const ofSeries = new Map<string, Alert[]>();
  for (const alert of alerts) {
    const series = seriesOf(alert);
    const list = ofSeries.get(series);
    if (list) list.push(alert);
    else ofSeries.set(series, [alert]);
  }
  let judged = 0;
  let right = 0;
  let intervals = 0;
  const delays: number[] = [];
  for (const [series, list] of labels) {
    const own = ofSeries.get(series) ?? [];
    const inSight = list.filter(({ start, end }) => start < toMs && end >= fromMs);
    judged += own.length;
    intervals += inSight.length;
    right += own.filter((alert) => inSight.some((label) => overlaps(alert, label))).length;
    for (const label of inSight) {
      const times = own.filter((alert) => overlaps(alert, label)).map(firesAt);
      if (times.length > 0) delays.push(Math.max(0, Math.min(...times) - label.start));
    }
  }
  const precision = judged === 0 ? null : right / judged;
  const recall = intervals === 0 ? null : delays.length / intervals;
  return {
    ...{ alerts: alerts.length, judged, right, intervals, found: delays.length, precision, recall },
    f1: f1Of(precision, recall),
    timeToDetectMs: delays.length === 0 ? null : { median: median(delays), max: Math.max(...delays) },
  };
}

/** Days on which something would have been told of, in order. */
export function notificationsPerDay(alerts: readonly Alert[]): DayCount[] {
  const days = new Map<string, DayCount>();
  const count = (ms: number, what: "firing" | "resolved") => {
    const day = new Date(ms).toISOString().slice(0, 10);
    const counts = days.get(day) ?? { day, firing: 0, resolved: 0 };
    counts[what]++;
    days.set(day, counts);
  };
  for (const alert of alerts) {
    count(firesAt(alert), "firing");
    if (alert.resolvedAt !== undefined) count(alert.resolvedAt, "resolved");
  }
  return [...days.values()].sort((a, b) => (a.day < b.day ? -1 : 1));
}

export function daysOf({ firstMs, lastMs }: { firstMs: number; lastMs: number }): number {
  return (lastMs - firstMs) / DAY_MS;
}

/** When somebody would have been told. */
export function firesAt({ startedAt, firedAt }: Alert): number {
  return firedAt ?? startedAt;
}

function overlaps(alert: Alert, label: { start: number; end: number }): boolean {
  return firesAt(alert) <= label.end && (alert.resolvedAt ?? Number.POSITIVE_INFINITY) >= label.start;
}

function f1Of(precision: number | null, recall: number | null): number | null {
  if (precision === null || recall === null) return null;
  return precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
