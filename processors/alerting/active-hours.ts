/**
 * When a rule may raise alerts: days of the week and hours of the day, in UTC, so that a replay elsewhere agrees.
 */
import { z } from "zod";

const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
/** 1970-01-01, day 0 of the epoch, was a Thursday. */
const EPOCH_WEEKDAY = 4;

const timeOfDay = z.string().transform((text, context) => {
  const [, hours, minutes] = /^(\d{2}):(\d{2})$/.exec(text) ?? [];
  const ms = (Number(hours) * 60 + Number(minutes)) * MINUTE_MS;
  if (ms <= DAY_MS && Number(minutes) < 60) return ms;
  context.addIssue({ code: "custom", message: `"${text}" is not a time of day such as 08:00` });
  return z.NEVER;
});

/** One span per day named, [from, to) in UTC; a `to` that is not after `from` is on the next day. */
export const activeHoursSchema = z
  .strictObject({
    days: z
      .array(z.enum(DAYS))
      .min(1)
      .default([...DAYS]),
    from: timeOfDay.prefault("00:00"),
    to: timeOfDay.prefault("24:00"),
  })
  .refine(({ from }) => from < DAY_MS, { error: "must be before 24:00", path: ["from"] });
export type ActiveHours = z.output<typeof activeHoursSchema>;

/** The first moment from `ts` on (event time, epoch ms) at which the rule is active; `ts` itself when it is then. */
export function nextActive(spans: readonly ActiveHours[], ts: number): number {
  if (spans.length === 0) return ts;
  let next = Number.POSITIVE_INFINITY;
  const today = Math.floor(ts / DAY_MS);
  // From yesterday, whose span may reach over midnight, to the same day of next week.
  for (let day = today - 1; day <= today + 7; day++) {
    const weekday = DAYS[(((day + EPOCH_WEEKDAY) % 7) + 7) % 7]!;
    for (const { days, from, to } of spans) {
      if (!days.includes(weekday)) continue;
      const start = day * DAY_MS + from;
      const end = day * DAY_MS + to + (to > from ? 0 : DAY_MS);
      if (end > ts) next = Math.min(next, Math.max(start, ts));
    }
  }
  return next;
}

export function isActive(spans: readonly ActiveHours[], ts: number): boolean {
  return spans.length === 0 || nextActive(spans, ts) === ts;
}
