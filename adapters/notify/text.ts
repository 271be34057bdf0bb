/**
 * A notification in words: the same on every channel a person reads.
 */
import type { Notification, NotifiedAlert } from "../../contracts/ports/channel.js";

/** More lines than this nobody reads on a phone. */
export const MAX_LINES = 20;

/** One line: how many, of what, and the worst of it. */
export function titleOf(notification: Notification): string {
  const { status, firing, resolved, cause, escalation, groupLabels, alerts } = notification;
  const count = status === "firing" ? `${firing} firing` : `${resolved} resolved`;
  const group = Object.values(groupLabels).join(" ");
  const prefix = escalation === undefined ? "" : "Not acknowledged: ";
  const again = cause === "repeat" ? ", still" : "";
  const first = alerts[0]?.summary ?? "";
  return `${prefix}[${count}${again}] ${group === "" ? "" : `${group}: `}${first}`;
}

/** The alerts, worst first, one line each. */
export function linesOf({ alerts, firing, resolved }: Notification): string[] {
  const lines = alerts.slice(0, MAX_LINES).map(lineOf);
  const more = firing + resolved - lines.length;
  return more > 0 ? [...lines, `and ${more} more`] : lines;
}

function lineOf(alert: NotifiedAlert): string {
  const taken = alert.acknowledgedBy === undefined ? "" : ` (acknowledged by ${alert.acknowledgedBy})`;
  const since = new Date(alert.startedAt).toISOString();
  const when =
    alert.resolvedAt === undefined
      ? `since ${since}`
      : `${since} to ${new Date(alert.resolvedAt).toISOString()}`;
  return `${alert.state} ${alert.severity}: ${alert.summary}, ${when}${taken} [${alert.id}]`;
}
