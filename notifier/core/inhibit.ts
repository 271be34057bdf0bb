/**
 * Inhibition: while a source alert fires, target alerts with the same values of `equal` are kept back.
 *
 * Keeps an index of the sources that fire, so that asking costs one look-up per rule. As in Alertmanager, an alert
 * never inhibits itself, and alerts that are both source and target of a rule do not inhibit each other.
 */
import type { Alert } from "../../contracts/alert.js";
import type { NotifierConfig } from "../config.js";
import { compileMatchers, type Label, type Matcher } from "./matchers.js";

interface Rule {
  isSource: Matcher;
  isTarget: Matcher;
  equal: readonly Label[];
  /** Firing sources by their values of `equal`: alert id to whether it is a target as well. */
  sources: Map<string, Map<string, boolean>>;
}

export class Inhibition {
  readonly #rules: Rule[];

  constructor(rules: NotifierConfig["inhibit_rules"]) {
    this.#rules = rules.map(({ source, target, equal }) => ({
      isSource: compileMatchers(source),
      isTarget: compileMatchers(target),
      equal,
      sources: new Map(),
    }));
  }

  add(alert: Alert): void {
    for (const rule of this.#rules) {
      if (!rule.isSource(alert)) continue;
      const key = keyOf(rule, alert);
      const sources = rule.sources.get(key) ?? new Map<string, boolean>();
      rule.sources.set(key, sources.set(alert.id, rule.isTarget(alert)));
    }
  }

  remove(alert: Alert): void {
    for (const rule of this.#rules) {
      const key = keyOf(rule, alert);
      const sources = rule.sources.get(key);
      if (sources?.delete(alert.id) && sources.size === 0) rule.sources.delete(key);
    }
  }

  inhibits(alert: Alert): boolean {
    return this.#rules.some((rule) => {
      if (!rule.isTarget(alert)) return false;
      const sources = rule.sources.get(keyOf(rule, alert));
      if (sources === undefined) return false;
      if (!rule.isSource(alert)) return true;
      return [...sources].some(([id, isTarget]) => id !== alert.id && !isTarget);
    });
  }
}

function keyOf({ equal }: Rule, alert: Alert): string {
  return JSON.stringify(equal.map((label) => alert[label]));
}
