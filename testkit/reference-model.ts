/**
 * The oracle: what rollups must be, computed the plain way. Sort all unique readings by event time, cut into
 * windows, add up. It shares no code with the operators it judges, other than types.
 *
 * Percentiles are exact here (nearest rank); operators may be off by their sketch's stated error.
 */
import type { ReadingRecord } from "../contracts/reading.js";
import type { Rollup } from "../contracts/rollup.js";
import type { Resolution } from "../contracts/window.js";

/** Rollups of all readings, each counted once by `id`, in no special order. */
export function referenceRollups(
  records: readonly ReadingRecord[],
  resolutions: readonly Resolution[],
): Rollup[] {
  const unique = new Map<string, ReadingRecord>();
  for (const record of records) if (!unique.has(record.id)) unique.set(record.id, record);
  const sorted = [...unique.values()].sort((a, b) => a.ts - b.ts || (a.id < b.id ? -1 : 1));
  const series = new Map<string, { ts: number; value: number }[]>();
  for (const record of sorted) {
    for (const [metric, value] of Object.entries(record.values)) {
      const key = `${record.deviceId}/${metric}`;
      const points = series.get(key) ?? [];
      points.push({ ts: record.ts, value });
      series.set(key, points);
    }
  }
  return [...series].flatMap(([key, points]) => {
    const [device, metric] = key.split("/") as [string, string];
    return resolutions.flatMap((_, level) => windowsOf(device, metric, points, resolutions, level));
  });
}

function windowsOf(
  device: string,
  metric: string,
  points: readonly { ts: number; value: number }[],
  resolutions: readonly Resolution[],
  level: number,
): Rollup[] {
  const { name, sizeMs } = resolutions[level]!;
  const groups = new Map<number, { ts: number; value: number }[]>();
  for (const point of points) {
    const start = point.ts - (((point.ts % sizeMs) + sizeMs) % sizeMs);
    const group = groups.get(start) ?? [];
    group.push(point);
    groups.set(start, group);
  }
  return [...groups].map(([start, group]) => {
    const values = group.map((point) => point.value);
    const ranked = [...values].sort((a, b) => a - b);
    const quantile = (q: number) => ranked[Math.max(0, Math.ceil(q * ranked.length) - 1)]!;
    const finer = level === 0 ? [] : windowsOf(device, metric, group, resolutions, level - 1);
    const sum =
      level === 0
        ? values.reduce((total, value) => total + value, 0)
        : finer.sort((a, b) => a.start - b.start).reduce((total, window) => total + window.sum, 0);
    return {
      ...{ device, metric, resolution: name, start },
      ...{ count: values.length, min: ranked[0]!, max: ranked[ranked.length - 1]!, sum },
      ...{ mean: sum / values.length, first: values[0]!, last: values[values.length - 1]! },
      ...{ p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99), revision: values.length },
    };
  });
}
