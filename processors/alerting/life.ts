/**
 * The life of the alerts of one rule on one series: inactive → pending → firing → resolved, in event time.
 *
 * Holds what has to be remembered between readings, and makes the records. `pending` is state only: nothing is told
 * of a condition that has not held long enough, so it is no state of an {@link Alert}.
 */
import { type Alert, alertId } from "../../contracts/alert.js";
import type { Verdict } from "../anomaly/detector.js";
import type { RecentReadings } from "./recent-readings.js";
import type { Rule } from "./rules.js";
import { summaryOf } from "./summary.js";
import { render } from "./template.js";

export interface Series {
  device: string;
  metric: string;
}

/** An alert that is over, while late readings may still change it. */
export interface Ended {
  alert: Alert;
  /** Event time of its last alarm. */
  alarmTs: number;
}

export interface LifeSnapshot {
  pendingSince: number | null;
  active: Alert | null;
  alarmTs: number;
  last: Ended | null;
  endTs: number;
  floorTs: number;
  starts: number[];
  count: number;
  lastStartedAt: number | null;
}

export class Life {
  /** Event time from which the condition has held, while it has not held long enough. */
  pendingSince: number | null = null;
  active: Alert | null = null;
  /** Event time of the latest alarm. */
  alarmTs = Number.NEGATIVE_INFINITY;
  /** The latest alert that is over; kept only where a late reading could change it. */
  last: Ended | null = null;
  /** When the latest alert ended. One episode per instant: a new one at the same time would have its id. */
  endTs = Number.NEGATIVE_INFINITY;
  /** End of the alert before `last`: nothing before it is changed any more. */
  floorTs = Number.NEGATIVE_INFINITY;
  /** When the latest alerts began: what flapping is told by. */
  #starts: number[] = [];
  #count = 0;
  #lastStartedAt: number | null = null;

  constructor(
    private readonly rule: Rule,
    private readonly series: Series,
    snapshot?: LifeSnapshot,
  ) {
    if (!snapshot) return;
    const { pendingSince, active, alarmTs, last, endTs, floorTs } = snapshot;
    Object.assign(this, { pendingSince, active, alarmTs, last, endTs, floorTs });
    this.#starts = [...snapshot.starts];
    this.#count = snapshot.count;
    this.#lastStartedAt = snapshot.lastStartedAt;
  }

  /** Quiet time after which the active alert is over. */
  get clearAfterMs(): number {
    const { clearAfterMs, flapping } = this.rule;
    return this.active?.flapping && flapping ? Math.max(clearAfterMs, flapping.withinMs) : clearAfterMs;
  }

  /** A new alert that began at `startedAt` and is told of at `ts`. The caller decides whether it is the active one. */
  begin(startedAt: number, ts: number, value: number, verdict: Verdict, recent: RecentReadings): Alert {
    const { name, severity, detector, threshold, version, labels, annotations } = this.rule;
    const score = finiteScore(verdict.score);
    const judged = {
      ...{ rule: name, severity, ...this.series, detector, value, score },
      ...band(verdict),
    };
    const { device, metric } = this.series;
    const alert: Alert = {
      ...{ v: 1, id: alertId(name, device, metric, startedAt), state: "firing", startedAt, updatedAt: ts },
      ...{ ...judged, threshold, summary: summaryOf(judged), ruleVersion: version },
      ...(ts === startedAt ? {} : { firedAt: ts }),
      ...(this.#flaps(startedAt) ? { flapping: true } : {}),
      readings: recent.upTo(ts),
      before: {
        count: this.#count,
        ...(this.#lastStartedAt === null ? {} : { lastStartedAt: this.#lastStartedAt }),
      },
    };
    if (Object.keys(labels).length > 0) alert.labels = { ...labels };
    const texts = Object.entries(annotations).map(([key, template]) => [key, render(template, alert)]);
    if (texts.length > 0) alert.annotations = Object.fromEntries(texts);
    this.#count++;
    this.#lastStartedAt = Math.max(startedAt, this.#lastStartedAt ?? startedAt);
    return alert;
  }

  /** Ends the active alert. `ts` may lie before readings that were judged, when it is a late one that clears it. */
  end(ts: number, value: number): Alert {
    const resolved = ended(this.active!, ts, value);
    this.floorTs = this.endTs;
    this.last = this.rule.detector === "range" ? { alert: resolved, alarmTs: this.alarmTs } : null;
    this.endTs = ts;
    this.active = null;
    this.pendingSince = null;
    return resolved;
  }

  snapshot(): LifeSnapshot {
    const { pendingSince, active, alarmTs, last, endTs, floorTs } = this;
    return {
      ...{ pendingSince, active, alarmTs, last, endTs, floorTs },
      starts: [...this.#starts],
      count: this.#count,
      lastStartedAt: this.#lastStartedAt,
    };
  }

  #flaps(startedAt: number): boolean {
    const { flapping } = this.rule;
    if (!flapping) return false;
    this.#starts = this.#starts.filter((start) => start > startedAt - flapping.withinMs);
    this.#starts.push(startedAt);
    if (this.#starts.length > flapping.alerts) this.#starts.shift();
    return this.#starts.length >= flapping.alerts;
  }
}

/** The record of the end of an alert. */
export function ended(alert: Alert, ts: number, value: number): Alert {
  const { corrected: _, ...rest } = alert;
  return { ...rest, state: "resolved", updatedAt: Math.max(alert.updatedAt, ts), resolvedAt: ts, value };
}

/** A detector that gives no usable score has raised nothing. */
export function finiteScore(score: number): number {
  return score > 0 ? Math.min(score, 1) : 0;
}

/** Records hold finite numbers only. */
function band({ expected, lower, upper }: Verdict): Pick<Alert, "expected" | "lower" | "upper"> {
  return {
    ...(Number.isFinite(expected) ? { expected: expected! } : {}),
    ...(Number.isFinite(lower) ? { lower: lower! } : {}),
    ...(Number.isFinite(upper) ? { upper: upper! } : {}),
  };
}
