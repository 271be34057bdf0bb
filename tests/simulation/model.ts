/**
 * The plain model of admission: what a reader of the log in order decides about each record. Shares no code with the
 * engine, other than the function that says what a record must look like.
 */
import type { LogRecord } from "../../contracts/ports/log.js";
import type { ReadingRecord } from "../../contracts/reading.js";
import { parseReadingRecord } from "../../processors/engine/reading-record.js";
import { LATENESS_MS } from "./world.js";

/** What became of the records. */
export interface Admissions {
  counted: ReadingRecord[];
  duplicates: number;
  late: ReadingRecord[];
  /** Ids of the dead letters of records that are no readings. */
  poison: string[];
}

const FINEST_MS = 10_000;

/** @param input each partition in the order of its offsets */
export function admissionsOf(input: readonly LogRecord[]): Admissions {
  const result: Admissions = { counted: [], duplicates: 0, late: [], poison: [] };
  const watermarks = new Map<string, number>();
  const seen = new Set<string>();
  for (const { value, partition, offset } of input) {
    const record = parseReadingRecord(value);
    if (typeof record === "string") {
      result.poison.push(`telemetry.readings/${partition}@${offset}`);
      continue;
    }
    const { id, deviceId, ts } = record;
    const watermark = watermarks.get(deviceId) ?? Number.NEGATIVE_INFINITY;
    if (windowEnd(ts) + LATENESS_MS <= watermark) result.late.push(record);
    else if (seen.has(id)) result.duplicates++;
    else {
      seen.add(id);
      result.counted.push(record);
      watermarks.set(deviceId, Math.max(watermark, ts));
    }
  }
  return result;
}

export function readingsOf(input: readonly LogRecord[]): ReadingRecord[] {
  return input.map(({ value }) => parseReadingRecord(value)).filter((record) => typeof record !== "string");
}

function windowEnd(ts: number): number {
  return Math.floor(ts / FINEST_MS) * FINEST_MS + FINEST_MS;
}
