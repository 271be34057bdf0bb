/**
 * The sentence a person reads first when an alert wakes them.
 */
import type { Alert } from "../../contracts/alert.js";
import { shortNumber } from "./numbers.js";

type Judged = Pick<
  Alert,
  "device" | "metric" | "value" | "detector" | "score" | "expected" | "lower" | "upper"
>;

export function summaryOf(alert: Judged): string {
  const { device, metric, value, detector, score, expected, lower, upper } = alert;
  const what = `${metric} of ${device} is ${shortNumber(value)}`;
  if (detector === "range") {
    return upper !== undefined && value > upper
      ? `${what}, above its limit of ${shortNumber(upper)}`
      : `${what}, below its limit of ${shortNumber(lower ?? Number.NaN)}`;
  }
  const band =
    lower === undefined || upper === undefined ? undefined : `${shortNumber(lower)} to ${shortNumber(upper)}`;
  const usual = band ?? (expected === undefined ? undefined : `about ${shortNumber(expected)}`);
  const judged = `${detector} score ${score.toFixed(2)}`;
  return usual === undefined
    ? `${what}, which is unusual (${judged})`
    : `${what}, expected ${usual} (${judged})`;
}
