/**
 * Parameters of the detector `silence`: a device, or one metric of it, that sends nothing for a while.
 *
 * It is no detector of readings: what it judges is that none came. See silence-alerts.ts.
 */
import { z } from "zod";
import { parseDurationMs } from "../../contracts/window.js";

export const SILENCE = "silence";

/** Text such as `10m`; milliseconds in the program. */
export const duration = z.string().transform((text, context) => {
  const ms = parseDurationMs(text);
  if (ms !== undefined) return ms;
  context.addIssue({ code: "custom", message: `"${text}" is not a duration such as 30s, 5m or 1h` });
  return z.NEVER;
});

export const silenceParams = z.strictObject({
  /** Ingest time without a reading after which the alert fires. */
  after: duration.refine((ms) => ms >= 1_000, { error: "must be at least 1s" }),
  /** The whole device, or each of its metrics that the rule selects. */
  watch: z.enum(["device", "metric"]).default("device"),
});
export type SilenceParams = z.output<typeof silenceParams>;
