/**
 * Labels: when something was wrong, as a person knows it afterwards. JSON `{"device/metric": [[start, end], ...]}`, times
 * as epoch milliseconds or ISO 8601 (UTC where no zone is given), both ends included. A series with an empty list is
 * known to have been in order; one that is not named is not judged.
 */
import { z } from "zod";
import { WHOLE_DEVICE } from "../../contracts/alert.js";
import { SluiceError } from "../../contracts/errors.js";
import { isName } from "../../contracts/reading.js";

/** A labelled interval, epoch milliseconds. */
export interface Label {
  start: number;
  end: number;
}

/** By `device/metric`; the metric of a whole device is `-`. */
export type Labels = ReadonlyMap<string, readonly Label[]>;

const ZONED = /(Z|[+-]\d{2}:?\d{2})$/;

const time = z.union([z.number(), z.string()]).transform((value, context) => {
  const text = typeof value === "string" && /\d:\d/.test(value) && !ZONED.test(value) ? `${value}Z` : value;
  const ms = typeof text === "number" ? text : Date.parse(text);
  if (Number.isFinite(ms)) return ms;
  context.addIssue({ code: "custom", message: `"${value}" is no time` });
  return z.NEVER;
});

const schema = z.record(
  z.string(),
  z.array(z.tuple([time, time]).refine(([start, end]) => start <= end, { error: "ends before it starts" })),
);

/** @throws SluiceError CONFIG_INVALID naming the file, series and interval */
export function parseLabels(text: string, file: string): Labels {
  let values: unknown;
  try {
    values = JSON.parse(text);
  } catch (error) {
    throw new SluiceError("CONFIG_INVALID", `${file}: ${(error as Error).message}`, { cause: error });
  }
  const parsed = schema.safeParse(values);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${file}: ${path.join(".")}: ${message}`);
    throw new SluiceError("CONFIG_INVALID", problems.join("\n"));
  }
  return new Map(Object.entries(parsed.data).map(([series, list]) => [checked(series, file), joined(list)]));
}

export function seriesOf({ device, metric }: { device: string; metric: string }): string {
  return `${device}/${metric}`;
}

function checked(series: string, file: string): string {
  const [device = "", metric = "", ...more] = series.split("/");
  if (more.length === 0 && isName(device) && isName(metric)) return series;
  throw new SluiceError(
    "CONFIG_INVALID",
    `${file}: ${series}: must be device/metric, or device/${WHOLE_DEVICE} for a device as a whole`,
  );
}

/** In order of time, those that overlap as one. */
function joined(list: readonly [number, number][]): Label[] {
  const labels: Label[] = [];
  for (const [start, end] of [...list].sort((a, b) => a[0] - b[0])) {
    const last = labels.at(-1);
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else labels.push({ start, end });
  }
  return labels;
}
