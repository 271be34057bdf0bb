/**
 * Holds the store against what the log gives, field by field.
 */
import type { Alert } from "../../contracts/alert.js";
import type { Store } from "../../contracts/ports/store.js";
import { ROLLUP_FIELDS, type Rollup, rollupKey } from "../../contracts/rollup.js";
import type { Resolution } from "../../contracts/window.js";
import type { Recomputed } from "./recompute.js";

/** One field that differs. `store` or `log` is undefined where the row is missing on that side. */
export interface Difference {
  kind: "rollup" | "alert";
  /** `device/metric/resolution` of a rollup, `device/metric/rule` of an alert. */
  series: string;
  /** Window start, or start of the alert; epoch milliseconds. */
  start: number;
  /** `*` when the whole row is missing on one side. */
  field: string;
  store: number | string | undefined;
  log: number | string | undefined;
  /** Identity of the row, to repair it by. */
  key: string;
}

export interface CompareOptions {
  store: Store;
  resolutions: readonly Resolution[];
  fromMs: number;
  toMs: number;
  /** False where the log no longer reaches back to what the detectors have learned from. */
  compareAlerts: boolean;
  onProgress?: (done: number, total: number) => void;
}

const ALERT_FIELDS = [
  "state",
  "startedAt",
  "correctedStartedAt",
  "updatedAt",
  "resolvedAt",
  "value",
  "score",
  "severity",
  "detector",
] as const;
/** More alerts than this in a range are compared up to the newest of them. */
const MAX_ALERTS = 100_000;

/** @throws SluiceError STORE_UNAVAILABLE */
export async function compare(expected: Recomputed, options: CompareOptions): Promise<Difference[]> {
  const differences = await compareRollups(expected.rollups, options);
  return options.compareAlerts
    ? [...differences, ...(await compareAlerts(expected.alerts, options))]
    : differences;
}

/** Holds rollups alone against the store. @throws SluiceError STORE_UNAVAILABLE */
export async function compareRollups(
  expected: ReadonlyMap<string, Rollup>,
  options: Omit<CompareOptions, "compareAlerts">,
): Promise<Difference[]> {
  const { store, fromMs: from, toMs: to, onProgress } = options;
  const bySeries = new Map<string, Map<number, Rollup>>();
  for (const name of await seriesNames(expected, options)) bySeries.set(name, new Map());
  for (const rollup of expected.values()) bySeries.get(seriesName(rollup))!.set(rollup.start, rollup);
  const differences: Difference[] = [];
  let done = 0;
  for (const [series, wanted] of bySeries) {
    const [device, metric, resolution] = series.split("/") as [string, string, string];
    const stored = await store.rollups({ device, metric, resolution, from, to });
    const found = new Map(stored.map((rollup) => [rollup.start, rollup]));
    for (const start of new Set([...wanted.keys(), ...found.keys()])) {
      differences.push(...differingFields(series, start, found.get(start), wanted.get(start)));
    }
    onProgress?.(++done, bySeries.size);
  }
  return differences;
}

/** Series of the log, and those the store has for a device: a row that no reading explains must be found too. */
async function seriesNames(
  expected: ReadonlyMap<string, Rollup>,
  options: Pick<CompareOptions, "store" | "resolutions">,
): Promise<Set<string>> {
  const names = new Set<string>();
  for (const rollup of expected.values()) names.add(seriesName(rollup));
  for (const { device, latest } of await options.store.devices()) {
    for (const metric of Object.keys(latest)) {
      for (const { name } of options.resolutions) names.add(`${device}/${metric}/${name}`);
    }
  }
  return names;
}

function seriesName({ device, metric, resolution }: Rollup): string {
  return `${device}/${metric}/${resolution}`;
}

function differingFields(
  series: string,
  start: number,
  store: Rollup | undefined,
  log: Rollup | undefined,
): Difference[] {
  const [device, metric, resolution] = series.split("/") as [string, string, string];
  const base = {
    kind: "rollup" as const,
    series,
    start,
    key: rollupKey({ device, metric, resolution, start }),
  };
  if (!store || !log) return [{ ...base, field: "*", store: store?.count, log: log?.count }];
  return ROLLUP_FIELDS.filter((field) => !Object.is(store[field] + 0, log[field] + 0)).map((field) => ({
    ...{ ...base, field },
    ...{ store: store[field], log: log[field] },
  }));
}

async function compareAlerts(
  expected: ReadonlyMap<string, Alert>,
  options: CompareOptions,
): Promise<Difference[]> {
  const { store, fromMs, toMs } = options;
  const rows = await store.alerts({ limit: MAX_ALERTS });
  const stored = new Map(
    rows.filter((row) => row.startedAt >= fromMs && row.startedAt < toMs).map((row) => [row.id, row]),
  );
  return [...new Set([...expected.keys(), ...stored.keys()])].flatMap((id): Difference[] => {
    const log = expected.get(id);
    const found = stored.get(id);
    const { device, metric, rule, startedAt } = (log ?? found)!;
    const base = { kind: "alert" as const, series: `${device}/${metric}/${rule}`, start: startedAt, key: id };
    if (!log || !found) return [{ ...base, field: "*", store: found?.state, log: log?.state }];
    return ALERT_FIELDS.filter((field) => found[field] !== log[field]).map((field) => ({
      ...{ ...base, field },
      ...{ store: found[field], log: log[field] },
    }));
  });
}
