/**
 * Reads one record of `telemetry.alerts`. The log is open to other producers, so nothing is taken on trust.
 */
import type { Alert } from "../contracts/alert.js";
import { isName } from "../contracts/reading.js";

const ID = /^[A-Za-z0-9._:-]{1,64}$/;
const SEVERITIES = ["info", "warning", "critical"];

/** The alert, or a sentence that says why it is none. */
export function parseAlertRecord(bytes: Uint8Array): Alert | string {
  let alert: Alert;
  try {
    alert = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (error) {
    return `not JSON: ${(error as Error).message}`;
  }
  if (typeof alert !== "object" || alert === null) return "not an object";
  if (alert.v !== 1) return `unknown version ${JSON.stringify(alert.v)}`;
  if (typeof alert.id !== "string" || !ID.test(alert.id)) return "id: not an id";
  if (alert.state !== "firing" && alert.state !== "resolved") return "state: must be firing or resolved";
  if (!SEVERITIES.includes(alert.severity)) return "severity: must be info, warning or critical";
  for (const label of ["rule", "device", "metric"] as const) {
    if (typeof alert[label] !== "string" || !isName(alert[label])) return `${label}: not a legal name`;
  }
  for (const time of ["startedAt", "updatedAt"] as const) {
    if (!Number.isSafeInteger(alert[time])) return `${time}: must be whole milliseconds`;
  }
  return typeof alert.summary === "string" ? alert : "summary: must be text";
}
