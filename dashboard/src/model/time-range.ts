/**
 * What interval a device's charts show, and at which resolution.
 */
export interface RangeChoice {
  name: string;
  ms: number;
}

const HOUR_MS = 3_600_000;

export const RANGES: readonly RangeChoice[] = [
  { name: "15m", ms: HOUR_MS / 4 },
  { name: "1h", ms: HOUR_MS },
  { name: "6h", ms: 6 * HOUR_MS },
  { name: "24h", ms: 24 * HOUR_MS },
  { name: "7d", ms: 168 * HOUR_MS },
  { name: "30d", ms: 720 * HOUR_MS },
];
export const DEFAULT_RANGE = "1h";

/** Either the last so much, moving with time, or a fixed half-open interval. */
export type Span = { kind: "last"; range: string } | { kind: "fixed"; from: number; to: number };

export interface TimeView {
  span: Span;
  /** `auto`, or the name of a resolution. */
  resolution: string;
}

export const DEFAULT_VIEW: TimeView = { span: { kind: "last", range: DEFAULT_RANGE }, resolution: "auto" };

export interface Interval {
  from: number;
  to: number;
}

/** The interval that `span` means at `now`. */
export function intervalOf(span: Span, now: number): Interval {
  if (span.kind === "fixed") return { from: span.from, to: span.to };
  const range = RANGES.find((choice) => choice.name === span.range) ?? RANGES[1]!;
  return { from: now - range.ms, to: now };
}

export interface ResolutionChoice {
  name: string;
  sizeMs: number;
}

/** More windows than this are neither readable nor quick. */
const MAX_POINTS = 1_500;
/** What one question may ask for; the API refuses more rows than 20,000. */
const MAX_ROWS = 20_000;

/** The resolution to ask for: as chosen, unless that is more rows than can be shown; the finest that fits for `auto`. */
export function pickResolution(
  chosen: string,
  spanMs: number,
  resolutions: readonly ResolutionChoice[],
): ResolutionChoice {
  const fits = (limit: number) =>
    resolutions.find(({ sizeMs }) => spanMs / sizeMs <= limit) ?? resolutions[resolutions.length - 1]!;
  const named = resolutions.find(({ name }) => name === chosen);
  if (!named) return fits(MAX_POINTS);
  return spanMs / named.sizeMs <= MAX_ROWS ? named : fits(MAX_ROWS);
}
