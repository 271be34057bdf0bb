/**
 * All rules on all series of one device. Holds at most one {@link SeriesAlert} per (rule, metric).
 */
import type { Alert } from "../../contracts/alert.js";
import type { Rule } from "./rules.js";
import { SeriesAlert, type SeriesAlertSnapshot } from "./series-alert.js";

export type DeviceAlertsSnapshot = [metric: string, rules: [rule: string, snapshot: SeriesAlertSnapshot][]][];

export class DeviceAlerts {
  readonly #device: string;
  readonly #rules: readonly Rule[];
  readonly #series = new Map<string, { rule: string; alert: SeriesAlert }[]>();

  /** Snapshots of rules that are gone or have changed shape are left out: those rules start afresh. */
  constructor(device: string, rules: readonly Rule[], snapshot: DeviceAlertsSnapshot = []) {
    this.#device = device;
    this.#rules = rules;
    for (const [metric, saved] of snapshot) this.#series.set(metric, this.#watch(metric, new Map(saved)));
  }

  /** Judges every value of a reading; returns the alerts that changed state. */
  step(ts: number, values: Record<string, number>): Alert[] {
    const changed: Alert[] = [];
    for (const metric in values) {
      let watched = this.#series.get(metric);
      if (!watched) {
        watched = this.#watch(metric, new Map());
        this.#series.set(metric, watched);
      }
      for (const { alert } of watched) {
        const transition = alert.step(ts, values[metric]!);
        if (transition) changed.push(transition);
      }
    }
    return changed;
  }

  snapshot(): DeviceAlertsSnapshot {
    return [...this.#series].map(([metric, watched]) => [
      metric,
      watched.map(({ rule, alert }) => [rule, alert.snapshot()]),
    ]);
  }

  #watch(metric: string, saved: Map<string, SeriesAlertSnapshot>): { rule: string; alert: SeriesAlert }[] {
    const series = { device: this.#device, metric };
    return this.#rules
      .filter((rule) => rule.matches(this.#device, metric))
      .map((rule) => ({ rule: rule.name, alert: restored(rule, series, saved.get(rule.name)) }));
  }
}

function restored(
  rule: Rule,
  series: { device: string; metric: string },
  saved?: SeriesAlertSnapshot,
): SeriesAlert {
  if (saved?.detector.kind !== rule.detector) return new SeriesAlert(rule, series);
  try {
    return new SeriesAlert(rule, series, saved);
  } catch (error) {
    // The rule's parameters changed the shape of the detector's state: what it learned does not fit any more.
    if (error instanceof RangeError) return new SeriesAlert(rule, series);
    throw error;
  }
}
