/**
 * Silence: a device, or one metric of it, from which nothing has come for as long as a rule allows.
 *
 * Told by ingest times alone. The time of the log is the largest ingest time in it so far; a series that was last heard
 * at t is silent once that has reached t + `after`, and the alert's time is exactly then, however late it is noticed.
 * So live processing, where the wall clock may stand in at the end of the log, and a replay fire the same alert.
 */
import { type Alert, alertId, WHOLE_DEVICE } from "../../contracts/alert.js";
import { nextActive } from "./active-hours.js";
import { ended } from "./life.js";
import { spanText } from "./numbers.js";
import type { SilenceRule } from "./rules.js";
import { SILENCE } from "./silence-params.js";
import { render } from "./template.js";

/** What is known of one rule on one series (or on the whole device). Times are ingest times, epoch ms. */
interface Watch {
  rule: SilenceRule;
  metric: string;
  lastTs: number;
  active: Alert | null;
  count: number;
  lastStartedAt: number | null;
}

export interface SilenceSnapshot {
  watches: (Omit<Watch, "rule"> & { rule: string })[];
  /** Alerts whose rules are gone, of whatever detector, that no reading has ended yet. */
  orphans: Alert[];
}

export class SilenceAlerts {
  readonly #device: string;
  readonly #rules: readonly SilenceRule[];
  /** By rule and metric; null where the rule is not about the metric. */
  readonly #watches: Map<SilenceRule, Map<string, Watch | null>>;
  readonly #all: Watch[] = [];
  #orphans: Alert[];

  /** @param lastIngestTs when the device was last heard, for rules that did not watch it yet */
  constructor(
    device: string,
    rules: readonly SilenceRule[],
    snapshot?: SilenceSnapshot,
    lastIngestTs?: number,
  ) {
    this.#device = device;
    this.#rules = rules.filter((rule) => rule.matchesDevice(device));
    this.#watches = new Map(this.#rules.map((rule) => [rule, new Map()]));
    this.#orphans = [...(snapshot?.orphans ?? [])];
    const byName = new Map(this.#rules.map((rule) => [rule.name, rule]));
    for (const saved of snapshot?.watches ?? []) {
      const rule = byName.get(saved.rule);
      if (rule && watches(rule, device, saved.metric)) this.#add({ ...saved, rule });
      else if (saved.active) this.#orphans.push(saved.active);
    }
    if (lastIngestTs !== undefined) this.#hearNew(lastIngestTs);
  }

  get deadline(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const watch of this.#all) earliest = Math.min(earliest, deadlineOf(watch));
    return earliest;
  }

  heard(ingestTs: number, values: Record<string, number>): Alert[] {
    const ended: Alert[] = [];
    for (const rule of this.#rules) {
      if (rule.params.watch === "device") this.#hear(rule, WHOLE_DEVICE, ingestTs, ended);
      else for (const metric in values) this.#hear(rule, metric, ingestTs, ended);
    }
    return ended;
  }

  due(ingestTimeMs: number): Alert[] {
    const fired: Alert[] = [];
    for (const watch of this.#all) {
      if (deadlineOf(watch) <= ingestTimeMs) fired.push(this.#fire(watch, deadlineOf(watch)));
    }
    return fired;
  }

  takeOrphans(): Alert[] {
    const orphans = this.#orphans;
    this.#orphans = [];
    return orphans;
  }

  snapshot(orphans: readonly Alert[]): SilenceSnapshot {
    return {
      watches: this.#all.map((watch) => ({ ...watch, rule: watch.rule.name })),
      orphans: [...orphans],
    };
  }

  #hearNew(lastIngestTs: number): void {
    for (const [rule, byMetric] of this.#watches) {
      if (rule.params.watch === "device" && byMetric.size === 0)
        this.#hear(rule, WHOLE_DEVICE, lastIngestTs, []);
    }
  }

  #add(watch: Watch): void {
    this.#watches.get(watch.rule)!.set(watch.metric, watch);
    this.#all.push(watch);
  }

  #hear(rule: SilenceRule, metric: string, ingestTs: number, over: Alert[]): void {
    const watch = this.#watches.get(rule)!.get(metric);
    if (watch === undefined) {
      if (watches(rule, this.#device, metric))
        this.#add({ rule, metric, lastTs: ingestTs, active: null, count: 0, lastStartedAt: null });
      else this.#watches.get(rule)!.set(metric, null);
    }
    if (!watch) return;
    if (watch.active) {
      const at = Math.max(ingestTs, watch.active.startedAt);
      over.push(ended(watch.active, at, seconds(at - watch.lastTs)));
      watch.active = null;
      // Not before the alert: the next silence has a later time, and so another id.
      watch.lastTs = at;
    }
    watch.lastTs = Math.max(watch.lastTs, ingestTs);
  }

  #fire(watch: Watch, startedAt: number): Alert {
    const { rule, metric, lastTs } = watch;
    const { name, severity, version, labels, annotations, params } = rule;
    const after = seconds(params.after);
    const what = metric === WHOLE_DEVICE ? `${this.#device} has` : `${metric} of ${this.#device} has`;
    const alert: Alert = {
      ...{ v: 1, id: alertId(name, this.#device, metric, startedAt), state: "firing", startedAt },
      ...{ updatedAt: startedAt, rule: name, severity, device: this.#device, metric, detector: SILENCE },
      ...{ value: seconds(startedAt - lastTs), score: 1, threshold: after, upper: after },
      summary: `${what} sent nothing for ${spanText(startedAt - lastTs)}`,
      ruleVersion: version,
      before: {
        count: watch.count,
        ...(watch.lastStartedAt === null ? {} : { lastStartedAt: watch.lastStartedAt }),
      },
    };
    if (Object.keys(labels).length > 0) alert.labels = { ...labels };
    const texts = Object.entries(annotations).map(([key, template]) => [key, render(template, alert)]);
    if (texts.length > 0) alert.annotations = Object.fromEntries(texts);
    watch.active = alert;
    watch.count++;
    watch.lastStartedAt = startedAt;
    return alert;
  }
}

function watches(rule: SilenceRule, device: string, metric: string): boolean {
  return rule.params.watch === "device" ? metric === WHOLE_DEVICE : rule.matches(device, metric);
}

function deadlineOf({ rule, lastTs, active }: Watch): number {
  return active ? Number.POSITIVE_INFINITY : nextActive(rule.activeHours, lastTs + rule.params.after);
}

function seconds(ms: number): number {
  return ms / 1_000;
}
