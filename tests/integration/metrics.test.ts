/**
 * The metrics of a real Sluice against what is built on them: rules and dashboards use only what exists, names follow
 * Prometheus' conventions, and no label grows with the fleet.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { parse } from "yaml";
import { checkpointMetrics } from "../../adapters/checkpoint/kafka/metrics.js";
import { kafkaMetrics } from "../../adapters/log/kafka/metrics.js";
import { notifierMetrics } from "../../notifier/metrics.js";
import { Registry } from "../../runtime/metrics.js";
import { client, publish, windowsWith } from "../e2e/clients.js";
import { needs, ROOT, type Sluice, until, Workspace } from "../e2e/harness.js";
import {
  dashboardQueries,
  type Family,
  families,
  labelsOf,
  metricsOf,
  type Query,
  RULES,
  rules,
  sampleNames,
} from "./prometheus.js";

const run = promisify(execFile);
const RULES_TEST = join(ROOT, "deploy", "prometheus", "rules.test.yml");
const OPERATIONS = readFileSync(join(ROOT, "docs", "operations.md"), "utf8");
/** Labels that Prometheus adds, or that every histogram has. */
const COMMON_LABELS = new Set(["job", "instance", "le"]);

describe("metrics", () => {
  const space = new Workspace();
  let sluice: Sluice;
  let page: string;
  let known: Map<string, Family>;

  const scrape = async () => (await sluice.fetch("/metrics")).text();

  before(async () => {
    sluice = await space.start();
    await readingsOf(["ward-7-left", "ward-7-right"]);
    await sluice.fetch("/readyz");
    await sluice.fetch("/no/such/path");
    page = await until("requests in the metrics", async () => {
      const text = await scrape();
      return text.includes('route="/readyz"') && text;
    });
    known = families(page);
  });
  after(() => space.close());

  /** One good reading and one dead letter of each device, until they are in the rollups. */
  async function readingsOf(devices: readonly string[]): Promise<void> {
    const mqtt = await client(space, sluice, { clientId: `meter-of-${devices[0]}` });
    for (const device of devices) {
      await publish(mqtt, device, { values: { temperature: 20 } });
      await publish(mqtt, device, "no json");
    }
    for (const device of devices) await windowsWith(sluice, 1, device, "temperature");
  }

  test("rules and dashboards use only metrics and labels that exist", () => {
    const all: Query[] = [
      ...rules().map(({ record, alert, expr }) => ({ at: `rules.yml: ${record ?? alert}`, expr })),
      ...dashboardQueries(),
    ];
    assert.ok(all.length > 80, `${all.length} queries`);
    const recorded = new Map(rules().flatMap(({ record, expr }) => (record ? [[record, expr]] : [])));
    const names = new Set([...sampleNames(known.values()), ...recorded.keys(), "up"]);
    const problems = all.flatMap(({ at, expr }) => {
      const metrics = metricsOf(expr);
      const labels = metrics.flatMap((name) => [...labelsFrom(recorded.get(name) ?? name)]);
      return [
        ...(metrics.length === 0 ? [`${at}: reads no metric`] : []),
        ...metrics.filter((name) => !names.has(name)).map((name) => `${at}: no metric ${name}`),
        ...labelsOf(expr)
          .filter((label) => !COMMON_LABELS.has(label) && !labels.includes(label))
          .map((label) => `${at}: no label ${label}`),
      ];
    });
    assert.deepEqual(problems, []);
  });

  function labelsFrom(expr: string): Set<string> {
    const names = metricsOf(expr).map((name) => known.get(name) ?? known.get(name.replace(/_[a-z]+$/, "")));
    return new Set(names.flatMap((family) => [...(family?.labels ?? [])]));
  }

  test("names, units and types follow the conventions of Prometheus", () => {
    const problems = [...known.values()]
      .filter(({ name }) => name.startsWith("sluice_"))
      .flatMap(({ name, type, help }) => [
        ...(/^sluice(_[a-z]+)+$/.test(name) ? [] : [`${name}: not snake_case`]),
        ...((type === "counter") === name.endsWith("_total") ? [] : [`${name}: _total is for counters`]),
        ...(type !== "histogram" || /_(seconds|bytes)$/.test(name) ? [] : [`${name}: no base unit`]),
        ...(/_(ms|millis|milliseconds|micros|nanos|kb|mb|kib|mib|percent)(_|$)/.test(name)
          ? [`${name}: not a base unit`]
          : []),
        ...(help.length > 10 ? [] : [`${name}: no help`]),
        ...(["counter", "gauge", "histogram"].includes(type) ? [] : [`${name}: type ${type}`]),
      ]);
    assert.deepEqual(problems, []);
  });

  test("no label holds the name of a device, a client or a metric", () => {
    const samples = page.split("\n").filter((line) => line.startsWith("sluice_"));
    assert.ok(samples.length > 50);
    const leaks = samples.filter((line) => /ward-7|meter-of|temperature|no\/such/.test(line));
    assert.deepEqual(leaks, []);
  });

  test("more devices make no more series", async () => {
    const series = (text: string) =>
      text
        .split("\n")
        .filter((line) => line.startsWith("sluice_"))
        .map((line) => line.slice(0, line.lastIndexOf(" ")))
        .filter((line) => !line.startsWith("sluice_http_"));
    const few = series(await scrape());
    await readingsOf(Array.from({ length: 20 }, (_, i) => `tram-${i}`));
    assert.deepEqual(series(await scrape()), few);
  });

  test("readiness is shown check by check", () => {
    const ready = page.split("\n").filter((line) => line.startsWith("sluice_ready{"));
    const checks = ["log", "store", "disk", "processor"];
    assert.deepEqual(
      ready,
      checks.map((check) => `sluice_ready{check="${check}"} 1`),
    );
  });

  test("latencies of arrival, ack and store are observed", () => {
    for (const name of ["gateway_publish_ack", "processor_ingest_to_store", "processor_event_to_store"]) {
      const [, count] = new RegExp(`^sluice_${name}_seconds_count (\\d+)$`, "m").exec(page) ?? [];
      assert.ok(Number(count) >= 2, `${name}: ${count}`);
    }
  });

  test("promtool accepts rules, dashboards and the page, and each alert fires when it should", async (t) => {
    if (!needs(t, "promtool")) return;
    await run("promtool", ["check", "rules", RULES]);
    const queries = join(space.dir, "dashboards.yml");
    // Every query of a dashboard as a recording rule: promtool parses them with Prometheus' own parser.
    const asRules = dashboardQueries().map(({ expr }, i) => ({ record: `dashboard:query:n${i}`, expr }));
    writeFileSync(queries, JSON.stringify({ groups: [{ name: "dashboards", rules: asRules }] }));
    await run("promtool", ["check", "rules", queries]);
    await run("promtool", ["test", "rules", RULES_TEST]);
    await run("promtool", [
      "check",
      "config",
      "--syntax-only",
      join(ROOT, "deploy", "prometheus", "prometheus.yml"),
    ]);
    const linting = run("promtool", ["check", "metrics"]);
    linting.child.stdin!.end(`${page.split("\n").filter(isOurs).join("\n")}\n`);
    assert.equal((await linting).stderr, "");
  });

  test("docs/operations.md lists every metric, and only those", async () => {
    const optional = new Registry();
    kafkaMetrics(optional);
    checkpointMetrics(optional, { entries: () => 0, bytes: () => 0 });
    notifierMetrics(optional, [], { pending: () => 0, isActive: () => false });
    const all = new Map([...families(await optional.metrics()), ...known]);
    const rows = [...all.values()]
      .filter(({ name }) => name.startsWith("sluice_"))
      .map(({ name, type, help }) => `| \`${name}\` | ${type} | ${help} |`)
      .sort();
    const written = OPERATIONS.split("\n").filter((line) => line.startsWith("| `sluice_"));
    assert.deepEqual(written, rows, `the table should be:\n${rows.join("\n")}\n`);
  });

  test("docs/operations.md says of every alert what to do, where its runbook points", () => {
    const headings = [...OPERATIONS.matchAll(/^### (\w+)$/gm)].map(([, name]) => name!);
    const alerts = rules().filter((rule) => rule.alert !== undefined);
    assert.deepEqual(headings.sort(), alerts.map(({ alert }) => alert).sort());
    for (const { alert, annotations } of alerts)
      assert.equal(annotations?.runbook, `docs/operations.md#${alert!.toLowerCase()}`);
  });

  test("every alert is tested both ways", () => {
    interface Case {
      alert_rule_test: { alertname: string; exp_alerts: unknown[] }[];
    }
    const { tests } = parse(readFileSync(RULES_TEST, "utf8")) as { tests: Case[] };
    const tried = tests.flatMap(({ alert_rule_test }) => alert_rule_test);
    for (const { alert } of rules()) {
      if (alert === undefined) continue;
      const mine = tried.filter(({ alertname }) => alertname === alert).map((one) => one.exp_alerts.length);
      assert.ok(mine.includes(0) && mine.some((count) => count > 0), alert);
    }
  });
});

function isOurs(line: string): boolean {
  return /^(# (HELP|TYPE) )?sluice_/.test(line);
}
