/**
 * Reads one record of `telemetry.readings`. The log is open to other producers, so nothing is taken on trust.
 */
import { isName, type ReadingRecord } from "../../contracts/reading.js";

const ID = /^[0-9a-f]{13,64}$/;

/** The record, or a sentence that says why it is none (a poison record). */
export function parseReadingRecord(bytes: Uint8Array): ReadingRecord | string {
  let record: ReadingRecord;
  try {
    record = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
  } catch (error) {
    return `not JSON: ${(error as Error).message}`;
  }
  if (typeof record !== "object" || record === null) return "not an object";
  if (record.v !== 1) return `unknown version ${JSON.stringify(record.v)}`;
  if (typeof record.id !== "string" || !ID.test(record.id)) return "id: must be 13 to 64 hex digits";
  if (typeof record.deviceId !== "string" || !isName(record.deviceId)) return "deviceId: not a legal name";
  if (!Number.isSafeInteger(record.ts)) return "ts: must be whole milliseconds";
  if (!Number.isSafeInteger(record.ingestTs)) return "ingestTs: must be whole milliseconds";
  if (typeof record.values !== "object" || record.values === null) return "values: must be an object";
  for (const metric in record.values) {
    if (!isName(metric)) return `values: ${JSON.stringify(metric)} is not a legal metric name`;
    if (!Number.isFinite(record.values[metric])) return `values.${metric}: must be a finite number`;
  }
  return record;
}
