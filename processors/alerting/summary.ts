/**
 * The sentence a person reads first when an alert wakes them.
 */
import type { Alert } from "../../contracts/alert.js";

type Judged = Pick<
  Alert,
  "device" | "metric" | "value" | "detector" | "score" | "expected" | "lower" | "upper"
>;

export function summaryOf(alert: Judged): string {
  const { device, metric, value, detector, score, expected, lower, upper } = alert;
  const what = `${metric} of ${device} is ${short(value)}`;
  if (detector === "range") {
    return upper !== undefined && value > upper
      ? `${what}, above its limit of ${short(upper)}`
      : `${what}, below its limit of ${short(lower ?? Number.NaN)}`;
  }
  const band = lower === undefined || upper === undefined ? undefined : `${short(lower)} to ${short(upper)}`;
  const usual = band ?? (expected === undefined ? undefined : `about ${short(expected)}`);
  const judged = `${detector} score ${score.toFixed(2)}`;
  return usual === undefined
    ? `${what}, which is unusual (${judged})`
    : `${what}, expected ${usual} (${judged})`;
}

/** Five significant digits, without exponent noise for everyday numbers. */
function short(value: number): string {
  return String(Number(value.toPrecision(5)));
}
