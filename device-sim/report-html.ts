/**
 * The verdict as one HTML page: no script, no outside request, light or dark as the reader's system is.
 */
import { chart, escapeHtml } from "./chart.js";
import { latencyAt } from "./latency.js";
import type { Ledger } from "./ledger.js";
import { type Row, reportDetails, reportRows } from "./report.js";
import { timeline } from "./timeline.js";
import type { VerifyReport } from "./verify.js";

const STYLE = `
:root { color-scheme: light dark; --fg: #1c2128; --soft: #59636e; --bg: #fff; --line: #d1d9e0; --s0: #0969da; --s1: #bc4c00; --s2: #1a7f37; --bad: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --fg: #e6edf3; --soft: #9198a1; --bg: #0d1117; --line: #30363d; --s0: #58a6ff; --s1: #f0883e; --s2: #3fb950; --bad: #f85149; } }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif; color: var(--fg); background: var(--bg); }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.verdict { padding: .6rem 1rem; border-left: .4rem solid var(--s2); } .verdict.bad { border-color: var(--bad); }
table { border-collapse: collapse; width: 100%; } td { padding: .15rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td:nth-child(2) { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } td:nth-child(3), p.soft { color: var(--soft); }
pre { overflow-x: auto; } figure { margin: 1.2rem 0; } svg { width: 100%; height: auto; }
svg text { font-size: 11px; fill: var(--soft); } .grid { stroke: var(--line); } .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.line.s0 { stroke: var(--s0); } .line.s1 { stroke: var(--s1); } .line.s2 { stroke: var(--s2); }
.key { margin-left: .8rem; color: var(--soft); } .key::before { content: ""; display: inline-block; width: .8rem; height: .2rem; margin-right: .3rem; vertical-align: middle; }
.key.s0::before { background: var(--s0); } .key.s1::before { background: var(--s1); } .key.s2::before { background: var(--s2); }
`;

/** The page as text. */
export function renderHtml(report: VerifyReport, ledger: Ledger): string {
  const { header } = ledger;
  const started = new Date(header.startedAt).toISOString();
  const details = reportDetails(report);
  return [
    "<!doctype html>",
    '<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>Simulation ${escapeHtml(started)}: ${report.ok ? "OK" : "NOT OK"}</title>`,
    `<style>${STYLE}</style></head><body>`,
    "<h1>Simulation report</h1>",
    `<p class="soft">${header.devices} devices <code>${escapeHtml(header.prefix)}…</code>, QoS ${header.qos}, seed ${header.seed}, started ${escapeHtml(started)}</p>`,
    verdict(report),
    "<h2>Course</h2>",
    ...courseCharts(ledger),
    "<h2>Latency</h2>",
    percentileChart(ledger),
    "<h2>Counts</h2>",
    table(reportRows(report)),
    ...reasons(report),
    ...(details.length > 0 ? ["<h2>Findings</h2>", `<pre>${escapeHtml(details.join("\n"))}</pre>`] : []),
    "</body></html>",
    "",
  ].join("\n");
}

function verdict({ ok, problems }: VerifyReport): string {
  if (ok)
    return '<p class="verdict"><strong>OK</strong>: log, rollups and counters agree with the ledger</p>';
  const list = problems.map((problem) => `<li>${escapeHtml(problem)}</li>`).join("");
  return `<div class="verdict bad"><strong>NOT OK</strong><ul>${list}</ul></div>`;
}

function courseCharts(ledger: Ledger): string[] {
  const bins = timeline(ledger);
  const line = (name: string, value: (bin: (typeof bins)[number]) => number | undefined) => ({
    name,
    points: bins.map((bin) => ({ x: bin.startMs / 1_000, y: value(bin) })),
  });
  const seconds = (s: number) => `${Number(s.toPrecision(3))} s`;
  return [
    chart({
      title: "Messages per second",
      lines: [
        line("due", (bin) => bin.duePerS),
        line("sent", (bin) => bin.sentPerS),
        line("acked", (bin) => bin.ackedPerS),
      ],
      xLabel: seconds,
      yLabel: (y) => `${Number(y.toPrecision(3))}`,
    }),
    chart({
      title: "Due to ack over time",
      lines: [line("p50", (bin) => bin.p50), line("p99", (bin) => bin.p99)],
      xLabel: seconds,
      yLabel: milliseconds,
      logY: true,
    }),
  ];
}

/** Percentiles are spread by nines: 90, 99 and 99.9 % are equally far apart. */
const PARTS = [0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999];

function percentileChart(ledger: Ledger): string {
  const nines = (part: number) => -Math.log10(1 - part);
  const line = (name: string, since: "sent" | "due") => {
    const values = latencyAt(ledger, since, PARTS);
    return { name, points: values.map((y, i) => ({ x: nines(PARTS[i]!), y })) };
  };
  return chart({
    title: "Time to ack by percentile",
    lines: [line("from publish", "sent"), line("from due", "due")],
    xLabel: (x) => `${Number((100 * (1 - 10 ** -x)).toFixed(2))} %`,
    yLabel: milliseconds,
    xMarks: [0, 0.5, 0.9, 0.99, 0.999, 0.9999].map(nines),
    logY: true,
  });
}

function milliseconds(ms: number): string {
  return ms >= 1_000 ? `${ms / 1_000} s` : `${ms} ms`;
}

function reasons({ byReason }: VerifyReport): string[] {
  const rows = Object.entries(byReason).map(
    ([reason, t]): Row => [reason, `${t.seen}`, `of ${t.acked} acked, ${t.sent} sent`],
  );
  return rows.length > 0 ? ["<h2>Dead letters by reason</h2>", table(rows)] : [];
}

function table(rows: readonly Row[]): string {
  const cells = (row: Row) =>
    [row[0], row[1], row[2] ?? ""].map((cell) => `<td>${escapeHtml(cell)}</td>`).join("");
  return `<table>${rows.map((row) => `<tr>${cells(row)}</tr>`).join("\n")}</table>`;
}
