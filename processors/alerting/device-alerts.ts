/**
 * All rules on all series of one device. Holds at most one {@link SeriesAlert} per (rule, metric), the latest readings of
 * each series watched, and what there is to know of its silences.
 */
import type { Alert, RelatedSeries } from "../../contracts/alert.js";
import { ended } from "./life.js";
import { RecentReadings } from "./recent-readings.js";
import { isSilence, type Rule } from "./rules.js";
import { SeriesAlert, type SeriesAlertSnapshot } from "./series-alert.js";
import { SilenceAlerts, type SilenceSnapshot } from "./silence-alerts.js";

export interface DeviceAlertsSnapshot {
  series: [metric: string, recent: Float64Array, rules: [rule: string, snapshot: SeriesAlertSnapshot][]][];
  silence: SilenceSnapshot;
}

interface Watched {
  recent: RecentReadings;
  alerts: SeriesAlert[];
}

/** Series that were unusual within so much event time of each other are told of together. */
const RELATED_MS = 300_000;
const MAX_RELATED = 5;

export class DeviceAlerts {
  readonly #device: string;
  readonly #rules: readonly Rule[];
  readonly #series = new Map<string, Watched>();
  readonly #silence: SilenceAlerts;
  /** Alerts that fired by rules that are gone: they end with the next reading. */
  #orphans: Alert[] = [];

  /** @param lastIngestTs when the device was last heard, for rules on silence that did not watch it yet */
  constructor(
    device: string,
    rules: readonly Rule[],
    snapshot?: DeviceAlertsSnapshot,
    lastIngestTs?: number,
  ) {
    this.#device = device;
    this.#rules = rules.filter((rule) => !isSilence(rule));
    this.#silence = new SilenceAlerts(device, rules.filter(isSilence), snapshot?.silence, lastIngestTs);
    for (const [metric, recent, saved] of snapshot?.series ?? []) this.#restore(metric, recent, saved);
    this.#orphans.push(...this.#silence.takeOrphans());
  }

  /** The earliest ingest time at which a rule on silence fires if nothing comes; Infinity when none can. */
  get silenceDeadline(): number {
    return this.#silence.deadline;
  }

  /** Alerts that fire because nothing came up to this ingest time. */
  silentAt(ingestTimeMs: number): Alert[] {
    return this.#silence.due(ingestTimeMs);
  }

  /** Takes note that a reading came, whatever becomes of it; returns the silences that it ends. */
  heard(ingestTs: number, values: Record<string, number>): Alert[] {
    return this.#silence.heard(ingestTs, values);
  }

  /** Judges every value of a reading; returns the alerts that changed. */
  step(ts: number, values: Record<string, number>): Alert[] {
    const changed: Alert[] = [];
    for (const metric in values) {
      const watched = this.#watchedOf(metric);
      if (watched.alerts.length === 0) continue;
      const value = values[metric]!;
      watched.recent.add(ts, value);
      for (const alert of watched.alerts) {
        for (const change of alert.step(ts, value, watched.recent)) changed.push(change);
      }
    }
    for (const alert of changed) this.#explain(alert);
    if (this.#orphans.length > 0) changed.push(...this.#endOrphans(ts));
    return changed;
  }

  snapshot(): DeviceAlertsSnapshot {
    return {
      series: [...this.#series].map(([metric, { recent, alerts }]) => [
        metric,
        recent.save(),
        alerts.map((alert) => [alert.rule.name, alert.snapshot()]),
      ]),
      silence: this.#silence.snapshot(this.#orphans),
    };
  }

  #watchedOf(metric: string): Watched {
    let watched = this.#series.get(metric);
    if (!watched) {
      const series = { device: this.#device, metric };
      const rules = this.#rules.filter((rule) => rule.matches(this.#device, metric));
      watched = { recent: new RecentReadings(), alerts: rules.map((rule) => new SeriesAlert(rule, series)) };
      this.#series.set(metric, watched);
    }
    return watched;
  }

  #restore(metric: string, recent: Float64Array, saved: [string, SeriesAlertSnapshot][]): void {
    const byRule = new Map(saved);
    const series = { device: this.#device, metric };
    const rules = this.#rules.filter((rule) => rule.matches(this.#device, metric));
    const alerts = rules.map((rule) => new SeriesAlert(rule, series, byRule.get(rule.name)));
    this.#series.set(metric, { recent: new RecentReadings(recent), alerts });
    for (const rule of rules) byRule.delete(rule.name);
    for (const { life } of byRule.values()) if (life.active) this.#orphans.push(life.active);
  }

  /** Adds what else moved, once every value of the reading has been judged. The record is not out yet. */
  #explain(alert: Alert): void {
    if (alert.related !== undefined || alert.corrected) return;
    const related = this.#related(alert.metric, alert.firedAt ?? alert.startedAt);
    if (related.length > 0) alert.related = related;
  }

  #related(metric: string, ts: number): RelatedSeries[] {
    const found: RelatedSeries[] = [];
    for (const [other, { alerts }] of this.#series) {
      if (other === metric) continue;
      const near = alerts.filter(({ moved }) => Math.abs(moved.ts - ts) <= RELATED_MS);
      if (near.length === 0) continue;
      const most = near.reduce((a, b) => (b.moved.score > a.moved.score ? b : a));
      const { name, threshold } = most.rule;
      found.push({ metric: other, rule: name, ...most.moved, alarm: most.moved.score >= threshold });
    }
    return found.sort((a, b) => b.score - a.score || (a.metric < b.metric ? -1 : 1)).slice(0, MAX_RELATED);
  }

  #endOrphans(ts: number): Alert[] {
    const over = this.#orphans.map(
      (alert): Alert => ({
        ...ended(alert, Math.max(ts, alert.startedAt), alert.value),
        endedBy: "rule removed",
      }),
    );
    this.#orphans = [];
    return over;
  }
}
