/**
 * What rules, dashboards and a scrape say, for tests: metric families of the text format, and the names in PromQL.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { ROOT } from "../e2e/harness.js";

export interface Family {
  name: string;
  type: string;
  help: string;
  /** Label names of all its samples; empty when it has no sample yet. */
  labels: Set<string>;
}

const SUFFIXES = /_(bucket|sum|count)$/;

/** The metric families of a page in the Prometheus text format. */
export function families(text: string): Map<string, Family> {
  const found = new Map<string, Family>();
  for (const line of text.split("\n")) {
    const [, keyword, name, rest] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (name !== undefined) {
      const family = found.get(name) ?? { name, type: "", help: "", labels: new Set() };
      if (keyword === "HELP") family.help = rest!;
      else family.type = rest!;
      found.set(name, family);
    }
    const [, sample, labels] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? /.exec(line) ?? [];
    if (sample === undefined) continue;
    const family = found.get(sample) ?? found.get(sample.replace(SUFFIXES, ""));
    for (const [, label] of (labels ?? "").matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)) family?.labels.add(label!);
  }
  return found;
}

/** The names a query may use: those of the families, and for a histogram its three kinds of samples. */
export function sampleNames(all: Iterable<Family>): Set<string> {
  const names = [...all].flatMap(({ name, type }) =>
    type === "histogram" ? ["_bucket", "_sum", "_count"].map((suffix) => name + suffix) : [name],
  );
  return new Set(names);
}

export interface Query {
  /** Where it stands, for messages. */
  at: string;
  expr: string;
}

export interface Rule {
  record?: string;
  alert?: string;
  expr: string;
  annotations?: Record<string, string>;
}

export const RULES = join(ROOT, "deploy", "prometheus", "rules.yml");

export function rules(): Rule[] {
  return (parse(readFileSync(RULES, "utf8")) as { groups: { rules: Rule[] }[] }).groups.flatMap(
    (group) => group.rules,
  );
}

interface Dashboard {
  panels: { title: string; targets?: { expr: string }[] }[];
  templating: { list: { query: string | { query: string } }[] };
}

/** Every query of the dashboards, with its variables filled in as Grafana would. */
export function dashboardQueries(): Query[] {
  const folder = join(ROOT, "deploy", "grafana", "dashboards");
  return readdirSync(folder).flatMap((file) => {
    const dashboard = JSON.parse(readFileSync(join(folder, file), "utf8")) as Dashboard;
    const panels = dashboard.panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({ at: `${file}: ${title}`, expr })),
    );
    const variables = dashboard.templating.list.flatMap(({ query }) =>
      typeof query === "string"
        ? []
        : [{ at: `${file}: variable`, expr: /^label_values\((.*),[^,]*\)$/.exec(query.query)![1]! }],
    );
    return [...panels, ...variables].map(({ at, expr }) => ({ at, expr: filledIn(expr) }));
  });
}

function filledIn(expr: string): string {
  return expr.replaceAll("$__rate_interval", "1m").replaceAll(/\$(job|instance)\b/g, ".+");
}

const KEYWORDS = new Set(["and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring"]);

/** The metrics a query reads: identifiers that are neither functions, keywords, labels nor text. */
export function metricsOf(expr: string): string[] {
  const bare = expr
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, "")
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]/g, " ")
    .replaceAll(/\b(by|without|on|ignoring)\s*\([^)]*\)/g, " ");
  const names = [...bare.matchAll(/(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])/g)].map(([name]) => name);
  return [...new Set(names.filter((name) => !KEYWORDS.has(name)))];
}

/** The labels a query selects or groups by. */
export function labelsOf(expr: string): string[] {
  const grouped = [...expr.matchAll(/\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g)].flatMap(([, list]) =>
    list!.split(",").map((label) => label.trim()),
  );
  const selected = [...expr.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label]) => label!);
  return [...new Set([...grouped, ...selected])].filter((label) => label !== "");
}
