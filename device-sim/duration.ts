/**
 * A length of time in a scenario: `30s`, `5m`, `2h`, or seconds as a plain number. Milliseconds when parsed.
 */
import { z } from "zod";
import { parseDurationMs } from "../contracts/window.js";

export const duration = z.union([z.string(), z.number()]).transform((given, context) => {
  const ms = typeof given === "number" ? Math.round(given * 1_000) : parseDurationMs(given);
  if (ms !== undefined && ms > 0) return ms;
  context.addIssue({ code: "custom", message: `${given} is not a length of time such as 500ms, 30s or 5m` });
  return z.NEVER;
});
