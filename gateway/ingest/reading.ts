/**
 * One item to one {@link Reading}, or to the reason why not. Pure: the time of receipt is an argument.
 */
import type { Reading } from "../../contracts/reading.js";
import type { PayloadLimits } from "../limits.js";
import type { Rejection } from "./decode.js";
import { diagnose, tsTooEarly } from "./diagnose.js";
import { compileValidator, normalise, type Payload } from "./schema.js";
import { parseIso } from "./time.js";

/** @returns a reading, or a rejection (told apart by its `reason`) */
export type ItemReader = (deviceId: string, item: unknown, ingestTs: number) => Reading | Rejection;

export function isRejection(result: Reading | Rejection): result is Rejection {
  return "reason" in result;
}

/** Compiles the validator once; the reader is for the hot path. */
export function createItemReader(limits: PayloadLimits): ItemReader {
  const validate = compileValidator(limits);
  return (deviceId, item, ingestTs) => {
    const payload = normalise(item);
    if (!validate(payload)) return diagnose(payload, limits);
    return toReading(deviceId, payload, ingestTs, limits);
  };
}

function toReading(
  deviceId: string,
  payload: Payload,
  ingestTs: number,
  limits: PayloadLimits,
): Reading | Rejection {
  const names = Object.keys(payload.values);
  if (names.length === 0) return { reason: "no_values", detail: "the reading has no values" };
  if (names.length > limits.maxValues) {
    const detail = `values: ${names.length} entries; at most ${limits.maxValues} are accepted`;
    return { reason: "too_many_values", detail };
  }
  const reading: Reading = { deviceId, values: {} };
  if (payload.ts !== undefined) {
    const ts = typeof payload.ts === "number" ? Math.floor(payload.ts) : parseIso(payload.ts);
    if (ts === undefined)
      return { reason: "bad_ts", detail: `ts: ${payload.ts} is not a day of the calendar` };
    if (ts < limits.minTsMs) return tsTooEarly(ts, limits);
    if (ts > ingestTs + limits.maxClockSkewMs) return tsTooFarAhead(ts, ingestTs, limits);
    reading.ts = ts;
  }
  if (payload.seq !== undefined) reading.seq = payload.seq + 0;
  if (payload.boot !== undefined) reading.boot = payload.boot;
  takeValues(reading, payload.values, names);
  return reading;
}

/** Numbers and booleans become values, strings attributes. `+ 0` makes a negative zero a plain one. */
function takeValues(reading: Reading, values: Payload["values"], names: readonly string[]): void {
  for (const name of names) {
    const value = values[name];
    if (typeof value === "number") reading.values[name] = value + 0;
    else if (typeof value === "boolean") reading.values[name] = value ? 1 : 0;
    else if (typeof value === "string") {
      reading.attributes ??= {};
      reading.attributes[name] = value;
    }
  }
}

function tsTooFarAhead(ts: number, ingestTs: number, limits: PayloadLimits): Rejection {
  const latest = ingestTs + limits.maxClockSkewMs;
  const unit = ts / 1_000 <= latest ? "microseconds" : ts / 1_000_000 <= latest ? "nanoseconds" : undefined;
  const hint =
    unit !== undefined && ts / 1_000 >= limits.minTsMs
      ? ` (looks like ${unit}; milliseconds are asked for)`
      : "";
  const detail = `ts: ${ts} is ${ts - ingestTs} ms ahead of the gateway; at most ${limits.maxClockSkewMs} are accepted${hint}`;
  return { reason: "ts_too_far_ahead", detail };
}
