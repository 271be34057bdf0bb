/**
 * An alert in plain words, for the person who is on call: what happened, why it counts as an alert, what else was going
 * on, and how often it has been so before. Times are UTC.
 */
import { type Alert, WHOLE_DEVICE } from "../../contracts/alert.js";
import { shortNumber, spanText } from "./numbers.js";
import { SILENCE } from "./silence-params.js";

/** Readings shown; the record holds a few more. */
const SHOWN_READINGS = 20;
const BAR_WIDTH = 30;

/** Lines of text, without line ends. */
export function explain(alert: Alert): string[] {
  return [
    `${alert.summary}.`,
    "",
    ...facts(alert).map(([name, text]) => `${`${name}:`.padEnd(12)}${text}`),
    ...section("What it read", readingLines(alert)),
    ...section("What else moved within five minutes", relatedLines(alert)),
    ...section(
      "Notes",
      Object.entries(alert.annotations ?? {}).map(([name, text]) => `${name}: ${text}`),
    ),
  ];
}

function facts(alert: Alert): [string, string][] {
  const { rule, ruleVersion, severity, device, metric, labels } = alert;
  const lines: [string, string][] = [
    ["state", stateText(alert)],
    ["when", whenText(alert)],
    ["series", metric === WHOLE_DEVICE ? `${device} (the whole device)` : `${metric} of ${device}`],
    ["rule", `${rule}, ${severity}${ruleVersion === undefined ? "" : `, version ${ruleVersion}`}`],
    ["judged", judgedText(alert)],
    ["expected", expectedText(alert)],
    ["before", beforeText(alert)],
  ];
  if (labels)
    lines.push([
      "labels",
      Object.entries(labels)
        .map(([key, text]) => `${key}=${text}`)
        .join(", "),
    ]);
  return lines;
}

function stateText({ state, flapping, corrected, correctedStartedAt, endedBy }: Alert): string {
  const notes = [
    flapping && "it has come and gone so often that it stays until it has been quiet for a while",
    (corrected || correctedStartedAt !== undefined) &&
      "its interval was corrected by readings that came late",
    endedBy && `ended because its ${endedBy.replace("rule removed", "rule was removed")}`,
  ].filter(Boolean);
  return [state, ...notes].join("; ");
}

function whenText({ startedAt, correctedStartedAt, firedAt, resolvedAt }: Alert): string {
  const begin = correctedStartedAt ?? startedAt;
  const parts = [`since ${time(begin)}`];
  if (correctedStartedAt !== undefined) parts.push(`first told of as since ${time(startedAt)}`);
  if (firedAt !== undefined)
    parts.push(`fired at ${time(firedAt)}, when it had held for ${spanText(firedAt - begin)}`);
  if (resolvedAt !== undefined) parts.push(`until ${time(resolvedAt)} (${spanText(resolvedAt - begin)})`);
  return parts.join(", ");
}

function judgedText({ detector, score, threshold }: Alert): string {
  if (detector === SILENCE)
    return `silence for ${spanText(threshold * 1_000)} or more, by the times of arrival`;
  if (detector === "range") return "against fixed limits (range)";
  return `${detector} score ${score.toFixed(2)} of 1; an alert from ${shortNumber(threshold)} on`;
}

function expectedText({ detector, value, expected, lower, upper, threshold }: Alert): string {
  if (detector === SILENCE)
    return `a reading at least every ${spanText(threshold * 1_000)}; none for ${spanText(value * 1_000)}`;
  const band = [
    lower === undefined ? undefined : `from ${shortNumber(lower)}`,
    upper === undefined ? undefined : `up to ${shortNumber(upper)}`,
  ].filter((part) => part !== undefined);
  const parts = [
    expected === undefined ? undefined : `about ${shortNumber(expected)}`,
    band.length > 0 ? band.join(" ") : undefined,
  ].filter((part) => part !== undefined);
  return parts.length > 0 ? parts.join(", in order ") : "the detector names no value";
}

function beforeText({ before }: Alert): string {
  if (before === undefined) return "not known";
  if (before.count === 0) return "this rule has not fired on this series before";
  const times = before.count === 1 ? "once" : `${before.count} times`;
  const last = before.lastStartedAt === undefined ? "" : `, last ${time(before.lastStartedAt)}`;
  return `this rule fired ${times} on this series before${last}`;
}

/** Time, value and a bar between the least and the greatest of them. */
function readingLines({ readings = [], startedAt, firedAt, correctedStartedAt }: Alert): string[] {
  const shown = readings.slice(-SHOWN_READINGS);
  const values = shown.map(([, value]) => value);
  const least = Math.min(...values);
  const span = Math.max(...values) - least;
  const begin = correctedStartedAt ?? startedAt;
  return shown.map(([ts, value]) => {
    const width = span > 0 ? Math.round(((value - least) / span) * BAR_WIDTH) : 0;
    const mark = ts === (firedAt ?? startedAt) ? "  <- fired here" : ts === begin ? "  <- began here" : "";
    return `${time(ts)}  ${shortNumber(value).padStart(12)}  ${"#".repeat(width).padEnd(mark ? BAR_WIDTH : width)}${mark}`;
  });
}

function relatedLines({ related = [] }: Alert): string[] {
  return related.map(({ metric, rule, ts, value, score, alarm }) => {
    const what = alarm ? "an alarm" : "out of the ordinary";
    return `${metric} read ${shortNumber(value)} at ${time(ts)}: ${what} by ${rule} (score ${score.toFixed(2)})`;
  });
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", `${title}:`, ...lines.map((line) => `  ${line}`.trimEnd())];
}

function time(ms: number): string {
  return new Date(ms)
    .toISOString()
    .replace("T", " ")
    .replace(/\.000Z$|Z$/, "");
}
