/**
 * Line protocol of rollups, alerts and device summaries, with millisecond timestamps.
 *
 * Guarantees: a row either becomes exactly one line or is returned as rejected with the reason. A number that is not
 * finite, or a name that would make another series, is never dropped or bent.
 */
import { escape as escaped } from "@influxdata/influxdb-client";
import type { Alert } from "../../../contracts/alert.js";
import type { DeviceSummary } from "../../../contracts/device.js";
import type { RejectedRow, StoreBatch } from "../../../contracts/ports/store.js";
import { isName } from "../../../contracts/reading.js";
import type { Rollup } from "../../../contracts/rollup.js";

export interface Line {
  kind: RejectedRow["kind"];
  measurement: string;
  text: string;
}

/**
 * The time of every device point, 2100-01-01: one fixed time, so that a device is one point; in the future, so that
 * no retention period ends before it, and within what every server takes (InfluxDB ends in 2262).
 */
export const DEVICE_POINT_MS = 4_102_444_800_000;

export const ALERTS = "alerts";
export const DEVICES = "devices";

const RESOLUTION = /^[A-Za-z0-9]{1,32}$/;

/** Measurement of a resolution, or undefined when its name cannot be one. */
export function rollupMeasurement(resolution: string): string | undefined {
  return RESOLUTION.test(resolution) ? `telemetry_${resolution}` : undefined;
}

export function toLines(batch: StoreBatch): { lines: Line[]; rejected: RejectedRow[] } {
  const lines: Line[] = [];
  const rejected: RejectedRow[] = [];
  function add<T extends Rollup | Alert | DeviceSummary>(
    kind: Line["kind"],
    rows: readonly T[],
    form: Form<T>,
  ) {
    for (const row of rows) {
      const made = form(row);
      if ("reason" in made) rejected.push({ kind, line: JSON.stringify(row), reason: made.reason });
      else lines.push({ kind, ...made });
    }
  }
  add("rollup", batch.rollups, rollupLine);
  add("alert", batch.alerts, alertLine);
  add("device", batch.devices, deviceLine);
  return { lines, rejected };
}

type Made = Omit<Line, "kind"> | { reason: string };
type Form<T> = (row: T) => Made;

function rollupLine(row: Rollup): Made {
  const measurement = rollupMeasurement(row.resolution);
  if (measurement === undefined) return { reason: `resolution ${JSON.stringify(row.resolution)} is no name` };
  const { count, min, max, sum, mean, first, last, p50, p95, p99, revision } = row;
  const problem =
    badName(row.device, row.metric) ??
    notWhole({ count, revision, start: row.start }) ??
    notFinite({ min, max, sum, mean, first, last, p50, p95, p99 });
  if (problem !== undefined) return { reason: problem };
  const tags = `device=${row.device},metric=${row.metric}`;
  const fields =
    `count=${count}i,min=${min},max=${max},sum=${sum},mean=${mean},first=${first},last=${last},` +
    `p50=${p50},p95=${p95},p99=${p99},revision=${revision}i`;
  return { measurement, text: `${measurement},${tags} ${fields} ${row.start}` };
}

/**
 * One point per alert and state: a transition never rewrites the point of another. `alert_json` holds the whole
 * alert and is what is read back: in InfluxDB a rewritten point keeps fields that the new one does not have.
 */
function alertLine(row: Alert): Made {
  const { value, score, threshold, startedAt, updatedAt } = row;
  const optional = present({ expected: row.expected, lower: row.lower, upper: row.upper });
  const times = { startedAt, updatedAt, ...present({ resolvedAt: row.resolvedAt }) };
  const problem =
    badName(row.device, row.metric, row.id) ??
    notWhole(times) ??
    notFinite({ value, score, threshold, ...optional });
  if (problem !== undefined) return { reason: problem };
  const tags =
    `alert_id=${row.id},device=${row.device},metric=${row.metric},` +
    `rule=${tagValue(row.rule)},severity=${row.severity},state=${row.state}`;
  const numbers = Object.entries({ value, score, threshold, ...optional }).map(
    ([name, number]) => `${name}=${number}`,
  );
  const integers = [`started_at=${startedAt}i`, `updated_at=${updatedAt}i`];
  if (row.resolvedAt !== undefined) integers.push(`resolved_at=${row.resolvedAt}i`);
  const texts = [
    `detector=${escaped.quoted(oneLine(row.detector))}`,
    `summary=${escaped.quoted(oneLine(row.summary))}`,
    `alert_json=${escaped.quoted(JSON.stringify(row))}`,
  ];
  return {
    measurement: ALERTS,
    text: `${ALERTS},${tags} ${[...numbers, ...integers, ...texts].join(",")} ${startedAt}`,
  };
}

function deviceLine({ device, lastTs, lastIngestTs, readings, latest }: DeviceSummary): Made {
  const problem = badName(device) ?? notWhole({ lastTs, lastIngestTs, readings }) ?? notFinite(latest);
  if (problem !== undefined) return { reason: problem };
  const numbers = `last_ts=${lastTs}i,last_ingest_ts=${lastIngestTs}i,readings=${readings}i`;
  const text = `${DEVICES},device=${device} ${numbers},latest=${escaped.quoted(JSON.stringify(latest))} ${DEVICE_POINT_MS}`;
  return { measurement: DEVICES, text };
}

/** Free text as a tag, for filters and dashboards: a tag cannot be empty or end in a backslash. */
function tagValue(text: string): string {
  const plain = oneLine(text).replaceAll("\\", " ").trim();
  return plain === "" ? "-" : escaped.tag(plain);
}

/** A line end in a text would end the line for QuestDB. `alert_json` has it escaped. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ");
}

function badName(...names: string[]): string | undefined {
  const bad = names.find((name) => !isName(name));
  return bad === undefined ? undefined : `${JSON.stringify(bad)} is not a legal name`;
}

function notFinite(numbers: Record<string, number>): string | undefined {
  for (const name in numbers) {
    if (!Number.isFinite(numbers[name])) return `${name} is ${numbers[name]}: not a finite number`;
  }
  return undefined;
}

function notWhole(numbers: Record<string, number>): string | undefined {
  for (const name in numbers) {
    if (!Number.isSafeInteger(numbers[name])) return `${name} is ${numbers[name]}: not a whole number`;
  }
  return undefined;
}

function present(numbers: Record<string, number | undefined>): Record<string, number> {
  return Object.fromEntries(Object.entries(numbers).filter(([, number]) => number !== undefined)) as Record<
    string,
    number
  >;
}
