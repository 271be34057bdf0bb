/**
 * Shows a verdict: a table for the terminal, or JSON.
 */
import type { FleetProgress } from "./fleet.js";
import type { Latency } from "./latency.js";
import type { VerifyReport } from "./verify.js";

export type Row = [name: string, value: string, note?: string];

/** The report as text, without colours. Ends with a line break. */
export function renderReport(report: VerifyReport): string {
  const lines = [...table(reportRows(report))];
  const reasons = Object.entries(report.byReason);
  if (reasons.length > 0) {
    lines.push(
      "",
      ...table(
        reasons.map(([reason, t]) => [`  ${reason}`, `${t.seen}`, `of ${t.acked} acked, ${t.sent} sent`]),
      ),
    );
  }
  const details = reportDetails(report);
  if (details.length > 0) lines.push("", ...details);
  lines.push("");
  lines.push(report.ok ? "OK: log, rollups and counters agree with the ledger" : "NOT OK:");
  for (const problem of report.problems) lines.push(`  - ${problem}`);
  return `${lines.join("\n")}\n`;
}

/** The report as JSON, indented. */
export function reportJson(report: VerifyReport): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}

/** One line of progress. */
export function renderProgress(progress: FleetProgress): string {
  const { elapsedMs, connected, sent, acked, inFlight, errors } = progress;
  const seconds = (elapsedMs / 1_000).toFixed(0).padStart(4);
  return `${seconds} s  ${connected} connected  ${sent} sent  ${acked} acked  ${inFlight} in flight  ${errors} errors`;
}

/** The verdict line by line: name, value, remark. */
export function reportRows(r: VerifyReport): Row[] {
  return [
    ["sent", `${r.sent}`, `${r.sends} publishes with re-sends`],
    ["acked", `${r.acked}`],
    ["unacked", `${r.unacked}`, `${r.unackedPresent} of them in the log`],
    ["readings in the log", `${r.readings}`],
    ["repeats", `${r.repeats}`, "copies in the log from re-sends"],
    ["lost", `${r.lost}`, "acked, but in no topic"],
    ["duplicated", `${r.duplicated}`, "copies no re-send explains"],
    ["invalid", `${r.invalidSeen}`, `${r.invalidExpected} acked ones expected`],
    ["wrong reason", `${r.wrongReason}`],
    ["wrongly rejected", `${r.wrongEnd}`],
    ["altered", `${r.altered}`],
    ["unknown", `${r.unknown}`, "in the log, but never sent"],
    ["late", `${r.late}`, `sent behind newer ones; ${r.lateTopic} too late for rollups`],
    rollupRow(r),
    statsRow(r),
    faultsRow(r),
    ...detectionRows(r),
    latencyRow("publish to ack", r.latency.publishToAck),
    latencyRow("due to ack", r.latency.dueToAck),
    ...(r.latency.publishToRollup ? [latencyRow("publish to rollup", r.latency.publishToRollup)] : []),
  ];
}

function rollupRow({ rollups }: VerifyReport): Row {
  if (!rollups.checked) return [`rollups ${rollups.resolution}`, "-", "not checked"];
  return [`rollups ${rollups.resolution}`, `${rollups.windows}`, `windows; ${rollups.mismatches} differ`];
}

function statsRow({ stats }: VerifyReport): Row {
  if (!stats.delta) return ["counters", "-", `not checked: ${stats.why}`];
  const { received, readings, invalid } = stats.delta;
  return ["counters", `${received}`, `received; ${readings} readings, ${invalid} invalid`];
}

function faultsRow({ faults }: VerifyReport): Row {
  const injected = Object.entries(faults).filter(([, count]) => count > 0);
  const total = injected.reduce((sum, [, count]) => sum + count, 0);
  return ["faults injected", `${total}`, injected.map(([name, count]) => `${count} ${name}`).join(", ")];
}

function detectionRows({ detection }: VerifyReport): Row[] {
  if (!detection) return [];
  const { labels, detected, alerts, falseAlerts, precision, recall, timeToDetect, byKind } = detection;
  const percent = (part: number | undefined) => (part === undefined ? "-" : `${(100 * part).toFixed(1)} %`);
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
  const kinds = Object.entries(byKind).map(([kind, tally]) => `${kind} ${tally.detected}/${tally.labels}`);
  const soon = `${seconds(timeToDetect.p50)} p50, ${seconds(timeToDetect.max)} max`;
  return [
    ["anomalies found", `${detected}`, `of ${labels}: ${kinds.join(", ")}`],
    ["recall", percent(recall), detected > 0 ? `time to detect ${soon}` : ""],
    ["precision", percent(precision), `${falseAlerts} of ${alerts} alerts belong to no injected anomaly`],
  ];
}

function latencyRow(name: string, latency: Latency): Row {
  if (latency.count === 0) return [name, "-", "no samples"];
  const [p50, p90, p99, p999, max] = [latency.p50, latency.p90, latency.p99, latency.p999, latency.max].map(
    (ms) => ms.toFixed(1),
  );
  return [name, `${p50} ms`, `p50; p90 ${p90}, p99 ${p99}, p99.9 ${p999}, max ${max}`];
}

/** What was found wrong, the first of each kind, a line each. */
export function reportDetails(report: VerifyReport): string[] {
  const time = (ms: number) => new Date(ms).toISOString();
  const lines = [
    ...report.lostFirst.map(({ device, seq, ts }) =>
      seq === undefined
        ? `lost: a malformed message of ${device}`
        : `lost: ${device} seq ${seq} ts ${time(ts!)}`,
    ),
    ...report.findings.map(
      ({ topic, partition, offset, device, what }) => `${topic}[${partition}]@${offset} ${device}: ${what}`,
    ),
    ...report.rollupMismatches.map(({ device, metric, start, expected, actual }) => {
      const side = (truth: typeof expected) =>
        truth ? `count ${truth.count}, sum ${truth.sum}` : "no window";
      return `rollup ${device} ${metric} ${time(start)}: ledger ${side(expected)}; store ${side(actual)}`;
    }),
  ];
  return lines;
}

function table(rows: readonly Row[]): string[] {
  const nameWidth = Math.max(...rows.map(([name]) => name.length));
  const valueWidth = Math.max(...rows.map(([, value]) => value.length));
  return rows.map(([name, value, note]) =>
    `${name.padEnd(nameWidth)}  ${value.padStart(valueWidth)}  ${note ?? ""}`.trimEnd(),
  );
}
