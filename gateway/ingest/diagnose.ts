/**
 * Says why an item is no reading: a reason code, and a sentence that names the place and what was found there.
 *
 * Runs only on items the compiled validator refused, so it may be slow; it must find something wrong with each.
 */
import { isName } from "../../contracts/reading.js";
import type { PayloadLimits } from "../limits.js";
import type { Rejection } from "./decode.js";
import { isObject } from "./schema.js";
import { ISO_PATTERN } from "./time.js";

type DiagnoseLimits = Pick<PayloadLimits, "maxStringLength" | "minTsMs">;

const KEYS = new Set(["ts", "seq", "boot", "values"]);
const ISO = new RegExp(ISO_PATTERN);

/** @param item in normal form, refused by the compiled validator of `schema.ts` */
export function diagnose(item: unknown, limits: DiagnoseLimits): Rejection {
  if (!isObject(item)) return bad("bad_shape", `a reading must be an object, got ${show(item)}`);
  const rejection =
    badShape(item) ??
    badTs(item.ts, limits) ??
    badSeq(item.seq) ??
    badBoot(item.boot) ??
    badValues(item.values as Record<string, unknown>, limits);
  if (rejection === undefined) throw new Error("the validator refused an item with nothing wrong in it");
  return rejection;
}

function badShape(item: Record<string, unknown>): Rejection | undefined {
  const unknown = Object.keys(item).find((key) => !KEYS.has(key));
  if (unknown !== undefined) {
    return bad("bad_shape", `${quote(unknown)} is not known beside "values" (ts, seq and boot are)`);
  }
  if (!isObject(item.values)) return bad("bad_shape", `values: must be an object, got ${show(item.values)}`);
  return undefined;
}

function badTs(ts: unknown, limits: DiagnoseLimits): Rejection | undefined {
  if (ts === undefined) return undefined;
  if (typeof ts === "string") {
    return ISO.test(ts)
      ? undefined
      : bad("bad_ts", `ts: ${show(ts)} is not ISO 8601 such as 2024-11-23T08:20:00Z`);
  }
  if (typeof ts !== "number" || !Number.isFinite(ts)) {
    return bad("bad_ts", `ts: must be epoch milliseconds or ISO 8601, got ${show(ts)}`);
  }
  return ts < limits.minTsMs ? tsTooEarly(ts, limits) : undefined;
}

/** The rejection of a time before `minTsMs`, with a hint when it would do as seconds. */
export function tsTooEarly(ts: number, limits: Pick<PayloadLimits, "minTsMs">): Rejection {
  const hint = ts * 1_000 >= limits.minTsMs ? " (looks like seconds; milliseconds are asked for)" : "";
  return bad("bad_ts", `ts: ${ts} is before ${new Date(limits.minTsMs).toISOString()}${hint}`);
}

function badSeq(seq: unknown): Rejection | undefined {
  if (seq === undefined || (Number.isSafeInteger(seq) && (seq as number) >= 0)) return undefined;
  return bad("bad_seq", `seq: must be a whole number from 0 to 2^53-1, got ${show(seq)}`);
}

function badBoot(boot: unknown): Rejection | undefined {
  if (boot === undefined) return undefined;
  if (typeof boot === "string" && boot.length >= 1 && lengthOf(boot) <= 64) return undefined;
  return bad("bad_boot", `boot: must be a string of 1 to 64 characters, got ${show(boot)}`);
}

function badValues(values: Record<string, unknown>, limits: DiagnoseLimits): Rejection | undefined {
  for (const name of Object.keys(values)) {
    if (!isName(name)) {
      return bad("bad_metric_name", `values: ${quote(name)} is not a legal name ([A-Za-z0-9._:-]{1,128})`);
    }
    const value = values[name];
    if (typeof value === "number" ? Number.isFinite(value) : typeof value === "boolean") continue;
    if (typeof value !== "string") {
      const found = typeof value === "number" ? "a number out of range" : show(value);
      return bad("bad_value", `values.${name}: must be a finite number, a boolean or a string, got ${found}`);
    }
    if (lengthOf(value) > limits.maxStringLength) {
      return bad(
        "too_long_string",
        `values.${name}: ${lengthOf(value)} characters; at most ${limits.maxStringLength} are accepted`,
      );
    }
  }
  return undefined;
}

function bad(reason: Rejection["reason"], detail: string): Rejection {
  return { reason, detail };
}

/** In code points, as the validator counts. */
function lengthOf(text: string): number {
  return [...text].length;
}

/** A value for a sentence: short, and never descending into it. */
function show(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "an array";
  if (isObject(value)) return "an object";
  return typeof value === "string" ? quote(value) : String(value);
}

function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}...` : text);
}
