/**
 * The one schema of a payload (zod), and the validator compiled from it for the hot path (ajv).
 *
 * Both judge the normal form: `{ts?, seq?, boot?, values}`; {@link normalise} brings the flattened form into it.
 * What needs a clock or a count is checked in `reading.ts`. zod alone would drop a metric named `__proto__`
 * without a word; the compiled validator refuses it.
 */
import { Ajv } from "ajv";
import { z } from "zod";
import type { PayloadLimits } from "../limits.js";
import { ISO_PATTERN } from "./time.js";

/** Same names as `isName` of the contracts, as one pattern. */
const METRIC_PATTERN = /^(?!__proto__$)[A-Za-z0-9._:-]{1,128}$/;

type SchemaLimits = Pick<PayloadLimits, "maxStringLength" | "minTsMs">;

/** The payload of one reading in normal form. */
export function payloadSchema(limits: SchemaLimits) {
  return z.strictObject({
    ts: z.union([z.number().min(limits.minTsMs), z.string().regex(new RegExp(ISO_PATTERN))]).optional(),
    seq: z.int().min(0).optional(),
    boot: z.string().min(1).max(64).optional(),
    values: z.record(
      z.string().regex(METRIC_PATTERN),
      z.union([z.number(), z.boolean(), z.string().max(limits.maxStringLength)]),
    ),
  });
}

export type Payload = z.infer<ReturnType<typeof payloadSchema>>;

/** Compiling takes tens of milliseconds, so each limits object has its validator compiled once. */
const compiled = new WeakMap<SchemaLimits, (item: unknown) => item is Payload>();

/** The compiled schema. `strictNumbers` refuses Infinity. */
export function compileValidator(limits: SchemaLimits): (item: unknown) => item is Payload {
  let validate = compiled.get(limits);
  if (!validate) {
    const ajv = new Ajv({ strictNumbers: true });
    validate = ajv.compile<Payload>(z.toJSONSchema(payloadSchema(limits), { target: "draft-7" }));
    compiled.set(limits, validate);
  }
  return validate;
}

/** True for what JSON calls an object. */
export function isObject(item: unknown): item is Record<string, unknown> {
  return typeof item === "object" && item !== null && !Array.isArray(item);
}

/**
 * The normal form of an item. Without `values`, every key other than `ts`, `seq` and `boot` is a value.
 * Objects without a prototype hold what has been moved, so that no key is special while it is being judged.
 */
export function normalise(item: unknown): unknown {
  if (!isObject(item) || Object.hasOwn(item, "values")) return item;
  const normal: Record<string, unknown> = Object.create(null);
  const values: Record<string, unknown> = Object.create(null);
  for (const key of Object.keys(item)) {
    const target = key === "ts" || key === "seq" || key === "boot" ? normal : values;
    target[key] = item[key];
  }
  normal.values = values;
  return normal;
}
