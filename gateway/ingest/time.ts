/**
 * Event time as devices write it: epoch milliseconds, or ISO 8601.
 */

/** `2024-11-23T08:20:00(.123456789)?(Z|+01:00|+0100)?`; seconds may be left out, a zone too (then UTC). */
export const ISO_PATTERN =
  "^\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])T([01]\\d|2[0-3]):[0-5]\\d(:[0-5]\\d(\\.\\d{1,9})?)?(Z|[+-]([01]\\d|2[0-3]):?[0-5]\\d)?$";

const PARTS =
  /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:(Z)|([+-])(\d\d):?(\d\d))?$/;

/**
 * @param text matches {@link ISO_PATTERN}
 * @returns epoch milliseconds, finer fractions cut off; undefined when the day does not exist
 */
export function parseIso(text: string): number | undefined {
  const match = PARTS.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour, minute] = match.slice(1, 6).map(Number) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const second = Number(match[6] ?? 0);
  const ms = Number((match[7] ?? "0").padEnd(3, "0").slice(0, 3));
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCDate() !== day) return undefined;
  date.setUTCHours(hour, minute, second, ms);
  if (match[9] === undefined) return date.getTime();
  const offsetMs = (Number(match[10]) * 60 + Number(match[11])) * 60_000;
  return date.getTime() - (match[9] === "-" ? -offsetMs : offsetMs);
}
