/**
 * Numbers and times as people read them. Times are shown in the browser's zone.
 */
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const GROUPED = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const DECIMAL = new Intl.NumberFormat("en", { maximumSignificantDigits: 5 });
const CLOCK = new Intl.DateTimeFormat("en", { timeStyle: "medium", hourCycle: "h23" });
const MINUTES = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });

/** A measured value: five significant digits, and never fewer than its whole part has. */
export function formatValue(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e15 || size < 1e-4)) return value.toExponential(2);
  if (size >= 1e4) return GROUPED.format(value);
  return DECIMAL.format(value);
}

/** A measured value where there is little room: four significant digits, and its whole part. */
export function formatShort(value: number | null | undefined): string {
  const cut = typeof value === "number" && Math.abs(value) < 1e4;
  return formatValue(cut ? Number(value.toPrecision(4)) : value);
}

/** A counter: exact while it is short. */
export function formatCount(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return Math.abs(value) < 1e6 ? GROUPED.format(value) : COMPACT.format(value);
}

/** Events per second. */
export function formatRate(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value >= 10_000) return COMPACT.format(value);
  return value >= 100 || value === 0 ? GROUPED.format(value) : value.toFixed(1);
}

const STEPS: [sizeMs: number, unit: string][] = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1_000, "s"],
];

/** `850 ms`, `12 s`, `5 min`, `3 h 20 min`, `4 d`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const at = STEPS.findIndex(([sizeMs]) => ms >= sizeMs);
  const [sizeMs, unit] = STEPS[at]!;
  const whole = Math.floor(ms / sizeMs);
  const next = STEPS[at + 1];
  if (!next || whole >= 10 || unit === "min") return `${whole} ${unit}`;
  const rest = Math.floor((ms - whole * sizeMs) / next[0]);
  return rest === 0 ? `${whole} ${unit}` : `${whole} ${unit} ${rest} ${next[1]}`;
}

/** `now`, `12 s ago`; a time ahead of us is `in 3 s`. */
export function formatAge(ts: number, now: number): string {
  const ms = now - ts;
  if (Math.abs(ms) < 1_500) return "now";
  return ms > 0 ? `${formatDuration(ms)} ago` : `in ${formatDuration(-ms)}`;
}

/** The time of day, with the day when that is not today. */
export function formatTime(ts: number, now: number): string {
  const sameDay = new Date(ts).toDateString() === new Date(now).toDateString();
  return sameDay ? CLOCK.format(ts) : `${DAY.format(ts)} ${CLOCK.format(ts)}`;
}

export function formatFull(ts: number): string {
  return FULL.format(ts);
}

/** A tick of a time axis whose ticks are `stepMs` apart: midnight shows its day. */
export function formatTick(ts: number, stepMs: number): string {
  if (stepMs >= 86_400_000) return DAY.format(ts);
  if (stepMs < 60_000) return CLOCK.format(ts);
  const text = MINUTES.format(ts);
  return text === "00:00" ? DAY.format(ts) : text;
}
