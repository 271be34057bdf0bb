/**
 * Maintenance windows: times that come back every day or every week, in UTC, in which matching alerts wake nobody.
 */
import { z } from "zod";

const DAY_MS = 86_400_000;
/** The epoch began on a Thursday. */
const DAYS = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"] as const;

const timeOfDayMs = z.string().transform((text, context) => {
  const [, hours, minutes] = /^(\d{2}):(\d{2})$/.exec(text) ?? [];
  const ms = (Number(hours) * 60 + Number(minutes)) * 60_000;
  if (Number(minutes) < 60 && ms <= DAY_MS) return ms;
  context.addIssue({
    code: "custom",
    message: `${JSON.stringify(text)} is not a time of day (UTC) such as 02:30`,
  });
  return z.NEVER;
});

/**
 * Half-open [start, end) in UTC. An end at or before the start is on the next day. Without `days` it is every day;
 * with them, the days on which it starts.
 */
export const windowSchema = z.strictObject({
  days: z.array(z.enum(DAYS)).min(1).optional(),
  start: timeOfDayMs,
  end: timeOfDayMs,
});
export type MaintenanceWindow = z.output<typeof windowSchema>;

export function isWithin(window: MaintenanceWindow, now: number): boolean {
  const today = Math.floor(now / DAY_MS);
  const lengthMs = window.end > window.start ? window.end - window.start : window.end + DAY_MS - window.start;
  // One that began yesterday may reach into today.
  return [today, today - 1].some((day) => {
    const start = day * DAY_MS + window.start;
    return startsOn(window, day) && now >= start && now < start + lengthMs;
  });
}

function startsOn({ days }: MaintenanceWindow, day: number): boolean {
  return days === undefined || days.includes(DAYS[((day % 7) + 7) % 7]!);
}
