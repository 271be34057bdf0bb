/**
 * One rule on one series: the detector and the life of its alerts.
 *
 * Pure: a function of the readings in log order. Readings older than the newest judged are not given to a detector
 * that learns (it would learn them out of order); a plain range judges them, since it keeps no state.
 */
import type { Alert, RelatedSeries } from "../../contracts/alert.js";
import type { Detector, DetectorSnapshot, Verdict } from "../anomaly/detector.js";
import { isCleared, type RangeParams } from "../anomaly/range.js";
import { detectors } from "../anomaly/registry.js";
import { isActive } from "./active-hours.js";
import { judgeLate } from "./late-range.js";
import { finiteScore, Life, type LifeSnapshot, type Series } from "./life.js";
import type { RecentReadings } from "./recent-readings.js";
import type { Rule } from "./rules.js";

export interface SeriesAlertSnapshot {
  detector: DetectorSnapshot;
  newestTs: number;
  life: LifeSnapshot;
  moved: Moved;
}

/** The latest reading that was out of the ordinary: of use to the explanation of another series' alert. */
export type Moved = Pick<RelatedSeries, "ts" | "value" | "score">;

/** A score from here on is out of the ordinary, although not yet an alarm. */
const MOVED_SCORE = 0.3;
const NOTHING: Alert[] = [];

export class SeriesAlert {
  readonly #rule: Rule;
  readonly #series: Series;
  readonly #detector: Detector;
  readonly #life: Life;
  /** Event time of the newest reading judged. */
  #newestTs = Number.NEGATIVE_INFINITY;
  readonly #moved: Moved = { ts: Number.NEGATIVE_INFINITY, value: 0, score: 0 };

  /** What the detector has learned is kept where it fits the rule as it is now; else the detector starts afresh. */
  constructor(rule: Rule, series: Series, snapshot?: SeriesAlertSnapshot) {
    this.#rule = rule;
    this.#series = series;
    this.#detector = detectorOf(rule, snapshot?.detector);
    this.#life = new Life(rule, series, snapshot?.life);
    if (snapshot) {
      this.#newestTs = snapshot.newestTs;
      Object.assign(this.#moved, snapshot.moved);
    }
  }

  get rule(): Rule {
    return this.#rule;
  }

  get moved(): Readonly<Moved> {
    return this.#moved;
  }

  /** The alert that fires, if one does. */
  get active(): Alert | null {
    return this.#life.active;
  }

  /** Judges a reading, which `recent` holds already; returns the alerts that changed. */
  step(ts: number, value: number, recent: RecentReadings): Alert[] {
    const inOrder = ts >= this.#newestTs;
    if (!inOrder && this.#rule.detector !== "range") return NOTHING;
    const verdict = this.#detector.step(ts, value);
    const score = finiteScore(verdict.score);
    this.#rule.observe?.(this.#series.device, this.#series.metric, ts, score);
    if (score >= MOVED_SCORE && ts >= this.#moved.ts) this.#move(ts, value, score);
    const raised = score >= this.#rule.threshold && isActive(this.#rule.activeHours, ts);
    if (!inOrder) return judgeLate(this.#life, this.#rule, { ts, value, verdict, raised }, recent);
    this.#newestTs = ts;
    if (raised) return this.#alarm(ts, value, verdict, recent);
    if (this.#life.active) return this.#clears(ts, value, score) ? [this.#life.end(ts, value)] : NOTHING;
    this.#life.pendingSince = null;
    return NOTHING;
  }

  snapshot(): SeriesAlertSnapshot {
    return {
      detector: this.#detector.save(),
      newestTs: this.#newestTs,
      life: this.#life.snapshot(),
      moved: { ...this.#moved },
    };
  }

  #alarm(ts: number, value: number, verdict: Verdict, recent: RecentReadings): Alert[] {
    const life = this.#life;
    if (!life.active && ts <= life.endTs) return NOTHING;
    life.alarmTs = Math.max(life.alarmTs, ts);
    if (life.active) {
      const score = finiteScore(verdict.score);
      if (score > life.active.score) life.active = { ...life.active, score };
      return NOTHING;
    }
    life.pendingSince ??= ts;
    if (ts - life.pendingSince < this.#rule.forMs) return NOTHING;
    life.active = life.begin(life.pendingSince, ts, value, verdict, recent);
    life.pendingSince = null;
    return [life.active];
  }

  #clears(ts: number, value: number, score: number): boolean {
    const { detector, params, clearThreshold } = this.#rule;
    if (detector === "range" && !isCleared(params as RangeParams, value)) return false;
    if (score >= clearThreshold && score < this.#rule.threshold) return false;
    return ts >= this.#life.alarmTs + this.#life.clearAfterMs;
  }

  #move(ts: number, value: number, score: number): void {
    this.#moved.ts = ts;
    this.#moved.value = value;
    this.#moved.score = score;
  }
}

function detectorOf(rule: Rule, saved?: DetectorSnapshot): Detector {
  const kind = detectors[rule.detector]!;
  if (saved?.kind !== rule.detector) return kind.create(rule.params);
  try {
    return kind.load(rule.params, saved);
  } catch (error) {
    // The rule's parameters changed the shape of the detector's state: what it learned does not fit any more.
    if (error instanceof RangeError) return kind.create(rule.params);
    throw error;
  }
}
