/**
 * One rule on one series: the detector and the life of its alert, inactive → firing → resolved, in event time.
 *
 * Pure: a function of the readings in log order. Readings older than the newest judged are not given to a detector
 * that learns (it would learn them out of order); a plain range judges them, since it keeps no state.
 */
import { type Alert, alertId } from "../../contracts/alert.js";
import type { Detector, DetectorSnapshot, Verdict } from "../anomaly/detector.js";
import { isCleared, type RangeParams } from "../anomaly/range.js";
import { detectors } from "../anomaly/registry.js";
import type { Rule } from "./rules.js";
import { summaryOf } from "./summary.js";

export interface SeriesAlertSnapshot {
  detector: DetectorSnapshot;
  newestTs: number;
  alarmTs: number;
  active: Alert | null;
}

export class SeriesAlert {
  readonly #rule: Rule;
  readonly #series: { device: string; metric: string };
  readonly #detector: Detector;
  /** Event time of the newest reading judged. */
  #newestTs = Number.NEGATIVE_INFINITY;
  /** Event time of the latest alarm or transition. */
  #alarmTs = Number.NEGATIVE_INFINITY;
  #active: Alert | null = null;

  constructor(rule: Rule, series: { device: string; metric: string }, snapshot?: SeriesAlertSnapshot) {
    this.#rule = rule;
    this.#series = series;
    const kind = detectors[rule.detector]!;
    this.#detector = snapshot ? kind.load(rule.params, snapshot.detector) : kind.create(rule.params);
    if (snapshot) {
      this.#newestTs = snapshot.newestTs;
      this.#alarmTs = snapshot.alarmTs;
      this.#active = snapshot.active;
    }
  }

  /** Judges a reading; returns the alert when it changed state. */
  step(ts: number, value: number): Alert | undefined {
    const inOrder = ts >= this.#newestTs;
    if (!inOrder && (this.#rule.detector !== "range" || ts <= this.#alarmTs)) return undefined;
    const verdict = this.#detector.step(ts, value);
    const alarm = verdict.score >= this.#rule.threshold;
    if (inOrder) this.#newestTs = ts;
    if (alarm) return this.#alarm(ts, value, verdict);
    if (this.#active && inOrder && this.#clears(ts, value)) return this.#resolve(ts, value);
    return undefined;
  }

  snapshot(): SeriesAlertSnapshot {
    return {
      detector: this.#detector.save(),
      newestTs: this.#newestTs,
      alarmTs: this.#alarmTs,
      active: this.#active,
    };
  }

  #alarm(ts: number, value: number, verdict: Verdict): Alert | undefined {
    // One episode per instant: an alert that began again at the time it ended would have the id of the first.
    if (!this.#active && ts <= this.#alarmTs) return undefined;
    this.#alarmTs = Math.max(this.#alarmTs, ts);
    if (this.#active) {
      if (verdict.score > this.#active.score) this.#active = { ...this.#active, score: verdict.score };
      return undefined;
    }
    const { device, metric } = this.#series;
    const { name, severity, detector } = this.#rule;
    const band = {
      ...(verdict.expected === undefined ? {} : { expected: verdict.expected }),
      ...(verdict.lower === undefined ? {} : { lower: verdict.lower }),
      ...(verdict.upper === undefined ? {} : { upper: verdict.upper }),
    };
    const base = { rule: name, severity, device, metric, detector, value, score: verdict.score, ...band };
    this.#active = {
      ...{ v: 1, id: alertId(name, device, metric, ts), state: "firing", startedAt: ts, updatedAt: ts },
      ...base,
      threshold: this.#rule.threshold,
      summary: summaryOf(base),
    };
    return this.#active;
  }

  #clears(ts: number, value: number): boolean {
    if (this.#rule.detector === "range" && !isCleared(this.#rule.params as RangeParams, value)) return false;
    return ts >= this.#alarmTs + this.#rule.clearAfterMs;
  }

  #resolve(ts: number, value: number): Alert {
    const resolved: Alert = { ...this.#active!, state: "resolved", updatedAt: ts, resolvedAt: ts, value };
    this.#active = null;
    this.#alarmTs = ts;
    return resolved;
  }
}
