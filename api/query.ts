/**
 * Query parameters: their zod types, and the sentence a caller gets for a bad one (always naming the parameter).
 */
import { z } from "zod";
import { isName } from "../contracts/reading.js";
import { ApiError } from "./errors.js";

const EPOCH_MS = /^-?\d{1,15}$/;
const ISO_8601 = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2}))?$/;

/** Parses epoch milliseconds or ISO 8601 with a zone (a date alone is midnight UTC). */
export function parseTime(text: string): number | undefined {
  if (EPOCH_MS.test(text)) return Number(text);
  // A "+" that was not escaped arrives as a space.
  const iso = text.replace(/ (\d{2}:?\d{2})$/, "+$1");
  if (!ISO_8601.test(iso)) return undefined;
  const ms = Date.parse(iso);
  return Number.isNaN(ms) ? undefined : ms;
}

/** A time parameter. */
export function timeParam(description: string) {
  return z
    .string()
    .transform((text, ctx) => {
      const ms = parseTime(text);
      if (ms !== undefined) return ms;
      ctx.issues.push({
        code: "custom",
        message: `must be epoch milliseconds or ISO 8601 with a zone (2024-11-23T08:00:00Z), not "${text}"`,
        input: text,
      });
      return z.NEVER;
    })
    .describe(`${description}. Epoch milliseconds or ISO 8601 with a zone`);
}

/** A device id or metric name. */
export function nameParam(description: string) {
  return z
    .string()
    .refine(isName, { error: "must be 1 to 128 of A-Z a-z 0-9 . _ : -" })
    .describe(description);
}

/** How many rows at most: 1..`max`, `byDefault` when absent. */
export function limitParam(max: number, byDefault: number) {
  const error = `must be a whole number from 1 to ${max}`;
  return z.coerce
    .number({ error })
    .int({ error })
    .min(1, { error })
    .max(max, { error })
    .default(byDefault)
    .describe("Most rows to answer");
}

/** Parses the raw query. @throws ApiError BAD_REQUEST naming the parameter */
export function parseQuery<T>(schema: z.ZodType<T>, raw: unknown): T {
  const result = schema.safeParse(raw, { reportInput: true });
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const allowed = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
  throw new ApiError(400, "BAD_REQUEST", sentence(issue, allowed));
}

function sentence(issue: z.core.$ZodIssue, allowed: string[]): string {
  const name = `parameter "${String(issue.path[0] ?? "")}"`;
  switch (issue.code) {
    case "unrecognized_keys":
      return `unknown parameter "${issue.keys[0]}"; allowed: ${allowed.join(", ") || "none"}`;
    case "invalid_value": {
      const values = issue.values.map(String).join(", ");
      return issue.input === undefined
        ? `${name} is required, one of ${values}`
        : `${name} must be one of ${values}, not "${String(issue.input)}"`;
    }
    case "invalid_type":
      if (issue.input === undefined) return `${name} is required`;
      return Array.isArray(issue.input) ? `${name} must be given once` : `${name} ${issue.message}`;
    default:
      return `${name} ${issue.message}`;
  }
}
