/**
 * What a reading is: the shape devices send, the record that the log holds, and its identity.
 *
 * Guarantees: a {@link ReadingRecord} holds finite numbers only, names that match {@link NAME_PATTERN}, and an
 * `id` that is the same for every re-send of the same reading (INV-3).
 */
import { hash } from "node:crypto";

/** Device ids and metric names. `__proto__` matches, and is refused by name (see {@link isName}). */
export const NAME_PATTERN = "^[A-Za-z0-9._:-]{1,128}$";
const NAME = new RegExp(NAME_PATTERN);

/** True for a legal device id or metric name. */
export function isName(text: string): boolean {
  return NAME.test(text) && text !== "__proto__";
}

/** A reading as decoded and validated, before the gateway stamps it. Times are epoch milliseconds. */
export interface Reading {
  deviceId: string;
  /** Event time given by the device; absent when it gave none. */
  ts?: number;
  seq?: number;
  boot?: string;
  /** Metric name to finite number; booleans have become 0 or 1. */
  values: Record<string, number>;
  /** Strings the device sent beside its numbers. */
  attributes?: Record<string, string>;
}

/** One record of `telemetry.readings` (version 1). Times are epoch milliseconds. */
export interface ReadingRecord {
  v: 1;
  /** Identity: equal for every re-send of one reading. */
  id: string;
  deviceId: string;
  ts: number;
  ingestTs: number;
  /** Present, and `"gateway"`, when the device gave no time and `ts` is the receive time. */
  tsFrom?: "gateway";
  seq?: number;
  boot?: string;
  values: Record<string, number>;
  attributes?: Record<string, string>;
}

/**
 * The identity of a reading: the first 128 bits of SHA-256 over whichever of (deviceId, boot, seq, ts, values,
 * attributes) the device sent, as 32 hex digits. Metrics are taken in name order, so that key order is no difference.
 *
 * A reading with neither `ts` nor `seq` has nothing to be told apart by; `nonce` (unique per accepted message)
 * then keeps equal readings apart.
 */
export function readingId(reading: Reading, nonce: string): string {
  const anonymous = reading.ts === undefined && reading.seq === undefined;
  const text = JSON.stringify([
    reading.deviceId,
    reading.boot ?? null,
    reading.seq ?? null,
    reading.ts ?? null,
    sortedEntries(reading.values),
    reading.attributes === undefined ? null : sortedEntries(reading.attributes),
    anonymous ? nonce : null,
  ]);
  return hash("sha256", text, "hex").slice(0, 32);
}

function sortedEntries<T>(values: Record<string, T>): [string, T][] {
  const names = Object.keys(values);
  if (names.length > 1) names.sort();
  return names.map((name) => [name, values[name] as T]);
}
