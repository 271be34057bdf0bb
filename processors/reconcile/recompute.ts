/**
 * What the store must hold for a time range, computed from the log alone.
 *
 * Two passes over the retained log. The first is a replay: the same operators as live processing. The second folds in
 * readings that came too late for live processing (INV-6), for the devices that have any: their readings are kept
 * until all have been seen, so order does not matter. A late reading shows in a window once the window is final; until
 * then live processing owns the window and would write it again without.
 */
import type { Alert } from "../../contracts/alert.js";
import type { Log } from "../../contracts/ports/log.js";
import type { ReadingRecord } from "../../contracts/reading.js";
import { type Rollup, rollupKey } from "../../contracts/rollup.js";
import { TOPICS } from "../../contracts/topics.js";
import type { Logger } from "../../runtime/logger.js";
import { DeviceWindows } from "../downsample/device-windows.js";
import { shortId } from "../downsample/open-window.js";
import type { TaskCounters } from "../engine/counters.js";
import type { OperatorOptions } from "../engine/device-operator.js";
import { parseReadingRecord } from "../engine/reading-record.js";
import { type ReplayRange, replay } from "../engine/replay.js";

export interface RecomputeOptions {
  log: Log;
  logger: Logger;
  operator: OperatorOptions;
  ranges: readonly ReplayRange[];
  /** Window starts in [fromMs, toMs). */
  fromMs: number;
  toMs: number;
  /** The wall clock up to which live processing has judged silence. */
  nowMs?: number;
  onProgress?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

export interface Recomputed {
  /** By {@link rollupKey}. */
  rollups: Map<string, Rollup>;
  /** The latest state of each alert that started in the range, by id. */
  alerts: Map<string, Alert>;
  /** Latest event time of each device. */
  watermarks: Map<string, number>;
  counters: TaskCounters;
}

/** @throws SluiceError LOG_UNAVAILABLE, LOG_OFFSET_OUT_OF_RANGE */
export async function recompute(options: RecomputeOptions): Promise<Recomputed> {
  const { fromMs, toMs, operator, ranges } = options;
  const inRange = (ms: number) => ms >= fromMs && ms < toMs;
  const rollups = new Map<string, Rollup>();
  const alerts = new Map<string, Alert>();
  const watermarks = new Map<string, number>();
  const lateDevices = new Set<string>();
  const counters = await replay({
    ...options,
    onLate: (record) => lateDevices.add(record.deviceId),
    write: async (batch) => {
      for (const rollup of batch.rollups) if (inRange(rollup.start)) rollups.set(rollupKey(rollup), rollup);
      for (const alert of batch.alerts) if (inRange(alert.startedAt)) alerts.set(alert.id, alert);
      for (const { device, lastTs } of batch.devices) watermarks.set(device, lastTs);
    },
  });
  if (lateDevices.size > 0) {
    const sizes = new Map(operator.resolutions.map(({ name, sizeMs }) => [name, sizeMs]));
    for (const rollup of await foldLate(options, ranges, lateDevices)) {
      const finalFrom = rollup.start + sizes.get(rollup.resolution)! + operator.allowedLatenessMs;
      if (inRange(rollup.start) && finalFrom <= watermarks.get(rollup.device)!)
        rollups.set(rollupKey(rollup), rollup);
    }
  }
  return { rollups, alerts, watermarks, counters };
}

/** Rollups of the given devices over all their readings, late ones too, each counted once. */
async function foldLate(
  { log, operator, signal }: RecomputeOptions,
  ranges: readonly ReplayRange[],
  devices: ReadonlySet<string>,
): Promise<Rollup[]> {
  const options = { resolutions: operator.resolutions, allowedLatenessMs: Number.POSITIVE_INFINITY };
  const windows = new Map<string, DeviceWindows>();
  for (const { partition, from, to } of ranges) {
    for await (const records of log.read(TOPICS.readings, partition, from, {
      to,
      ...(signal && { signal }),
    })) {
      for (const record of records) {
        if (record.key !== null && !devices.has(record.key)) continue;
        const reading = parseReadingRecord(record.value);
        if (typeof reading !== "string" && devices.has(reading.deviceId)) add(windows, reading, options);
      }
    }
  }
  return [...windows.values()].flatMap((device) => device.flush().map(({ rollup }) => rollup));
}

function add(
  windows: Map<string, DeviceWindows>,
  reading: ReadingRecord,
  options: ConstructorParameters<typeof DeviceWindows>[1],
): void {
  let device = windows.get(reading.deviceId);
  if (!device) {
    device = new DeviceWindows(reading.deviceId, options);
    windows.set(reading.deviceId, device);
  }
  device.add(reading.ts, shortId(reading.id), reading.values, reading.tsFrom === "gateway");
}
