/**
 * Numbers and spans of time as people read them in an alert.
 */

/** Five significant digits, without exponent noise for everyday numbers. */
export function shortNumber(value: number): string {
  return String(Number(value.toPrecision(5)));
}

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
] as const;

/** `2 h 5 min`: the two largest units that say something; less than a second in ms. */
export function spanText(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  let left = ms;
  const parts: string[] = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    if (count > 0) parts.push(`${count} ${unit}`);
    left -= count * size;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}
