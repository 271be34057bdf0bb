/**
 * A threshold for a wanted rate of false alarms, from the scores that a rule's detector gave over the log.
 *
 * Scores are kept where they could be an alarm at all. For a threshold, readings at or above it that follow each other
 * within `clearAfter` are one alert, as when the rule is live; those in labelled intervals are no false alarms. `for`,
 * active hours and the clear level are left aside here, so run the suggestion as a rule to see what it really does.
 */
import { SluiceError } from "../../contracts/errors.js";
import { isSilence, type Rule } from "../alerting/rules.js";
import { ALARM_SCORE } from "../anomaly/detector.js";
import { type Labels, seriesOf } from "./labels.js";

/** More scores than this are thinned by raising the least one that is kept. */
const MAX_SCORES = 2_000_000;

interface Score {
  ts: number;
  score: number;
}

export class ScoreCollector {
  readonly #bySeries = new Map<string, Score[]>();
  #kept = 0;
  #least = ALARM_SCORE;

  constructor(
    private readonly labels: Labels,
    private readonly fromMs: number,
    private readonly toMs: number,
    private readonly maxScores = MAX_SCORES,
  ) {}

  /** A rule that does what the given one does, and tells its scores to this. @throws SluiceError CONFIG_INVALID */
  watching(rule: Rule): Rule {
    if (isSilence(rule) || rule.detector === "range" || rule.detector === "flat-line") {
      throw new SluiceError(
        "CONFIG_INVALID",
        `rule ${rule.name}: the scores of ${rule.detector} are no distribution to choose a threshold from`,
      );
    }
    return { ...rule, observe: (device, metric, ts, score) => this.#take({ device, metric }, ts, score) };
  }

  /**
   * The least threshold with at most so many false alarms, and how many it has. `threshold` is null when even 1, the
   * greatest there can be, has more.
   */
  suggest(
    rule: Rule,
    maxFalseAlarms: number,
  ): { threshold: number | null; falseAlarms: number; leastThreshold: number } {
    const scores = [...new Set([...this.#bySeries.values()].flat().map(({ score }) => rounded(score)))];
    const candidates = [this.#least, ...scores, 1].filter((score) => score >= this.#least && score <= 1);
    const sorted = [...new Set(candidates)].sort((a, b) => a - b);
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#falseAlarms(sorted[middle]!, rule.clearAfterMs) <= maxFalseAlarms) high = middle;
      else low = middle + 1;
    }
    const threshold = sorted[low] ?? null;
    const falseAlarms = this.#falseAlarms(threshold ?? 1, rule.clearAfterMs);
    return { threshold, falseAlarms, leastThreshold: this.#least };
  }

  #take(series: { device: string; metric: string }, ts: number, score: number): void {
    if (score < this.#least || ts < this.fromMs || ts >= this.toMs) return;
    const name = seriesOf(series);
    const list = this.#bySeries.get(name);
    if (list) list.push({ ts, score });
    else this.#bySeries.set(name, [{ ts, score }]);
    if (++this.#kept > this.maxScores) this.#thin();
  }

  /** Lets the lower half go: thresholds below are not suggested any more. */
  #thin(): void {
    const scores = [...this.#bySeries.values()]
      .flatMap((list) => list.map(({ score }) => score))
      .sort((a, b) => a - b);
    this.#least = scores[scores.length >> 1]!;
    this.#kept = 0;
    for (const [series, list] of this.#bySeries) {
      const left = list.filter(({ score }) => score > this.#least);
      this.#bySeries.set(series, left);
      this.#kept += left.length;
    }
  }

  #falseAlarms(threshold: number, clearAfterMs: number): number {
    let count = 0;
    for (const [series, list] of this.#bySeries) {
      const labelled = this.labels.get(series) ?? [];
      let lastTs = Number.NEGATIVE_INFINITY;
      for (const { ts, score } of list) {
        if (score < threshold) continue;
        const known = labelled.some(({ start, end }) => ts >= start && ts <= end);
        if (!known && ts > lastTs + clearAfterMs) count++;
        lastTs = ts;
      }
    }
    return count;
  }
}

/** Up to the next of four decimals: a threshold that a person can write. */
function rounded(score: number): number {
  return Math.min(1, Math.ceil(score * 10_000 + 1e-9) / 10_000);
}
