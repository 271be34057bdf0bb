/**
 * Holds the rollups of the store against aggregates made from the ledger.
 *
 * What must be in them is what is in the log: every reading once, however often it is there (INV-3), without those
 * that came too late and went to `telemetry.late`.
 */
import { hasCode } from "../contracts/errors.js";
import type { Clock } from "../contracts/ports/clock.js";
import type { Store } from "../contracts/ports/store.js";
import type { Rollup } from "../contracts/rollup.js";
import { type Resolution, windowStart } from "../contracts/window.js";
import type { Ledger } from "./ledger.js";

/** The fields that follow from the readings alone (percentiles are estimates). */
type Truth = Pick<Rollup, "count" | "sum" | "min" | "max" | "first" | "last">;
const FIELDS = ["count", "sum", "min", "max", "first", "last"] as const;

/**
 * Sums are compared up to rounding: coarser windows add up finer ones, in another order than one by one. A reading
 * counted twice or left out shows in `count` anyway.
 */
const SUM_TOLERANCE = 1e-9;

export interface RollupMismatch {
  device: string;
  metric: string;
  /** Window start, epoch milliseconds. */
  start: number;
  /** Undefined: the store has a window where the ledger has no reading. */
  expected: Truth | undefined;
  /** Undefined: the store has no such window. */
  actual: Truth | undefined;
}

export interface RollupVerdict {
  resolution: string;
  /** Windows that should exist. */
  windows: number;
  mismatches: RollupMismatch[];
}

export interface RollupCheck {
  ledger: Ledger;
  store: Pick<Store, "rollups">;
  resolution: Resolution;
  clock: Clock;
  /** Give up when the rollups have not come nearer for so long. */
  settleMs: number;
  signal?: AbortSignal;
  /** How often each reading must count now: 0 or 1. Asked again in every round, since late records may still come. */
  counted: () => Promise<(n: number) => boolean>;
  onProgress?: (pendingSeries: number) => void;
}

const POLL_MS = 250;
const CONCURRENCY = 8;

/** Compares until all agree, or what differs can no longer change or has stopped changing. */
export async function checkRollups(check: RollupCheck): Promise<RollupVerdict> {
  const { ledger, clock, settleMs, resolution } = check;
  const byDevice = readingsByDevice(ledger);
  let pending = byDevice.map((_, device) => device);
  let verdicts = new Map<number, DeviceVerdict>();
  let windows = 0;
  let nearest = -1;
  let nearestAtMs = clock.monotonicMs();
  for (;;) {
    const counted = await check.counted();
    verdicts = new Map([...verdicts, ...(await compareAll(check, byDevice, pending, counted))]);
    pending = [...verdicts].filter(([, verdict]) => verdict.mismatches.length > 0).map(([device]) => device);
    windows = sum([...verdicts.values()].map((verdict) => verdict.windows));
    check.onProgress?.(pending.length);
    // A window that holds too much cannot heal: only what is behind is worth waiting for.
    const behind = pending.some((device) => verdicts.get(device)!.mismatches.some(isBehind));
    const seen = sum([...verdicts.values()].map((verdict) => verdict.seen));
    if (seen !== nearest) [nearest, nearestAtMs] = [seen, clock.monotonicMs()];
    if (!behind || clock.monotonicMs() - nearestAtMs > settleMs) break;
    await clock.sleep(POLL_MS, check.signal);
  }
  const mismatches = [...verdicts.values()].flatMap((verdict) => verdict.mismatches);
  return { resolution: resolution.name, windows, mismatches };
}

interface DeviceVerdict {
  windows: number;
  /** Values counted by the store in all windows asked for: rises while the processors catch up. */
  seen: number;
  mismatches: RollupMismatch[];
}

function isBehind({ expected, actual }: RollupMismatch): boolean {
  return (expected?.count ?? 0) > (actual?.count ?? 0);
}

/** Entry numbers of the readings of each device, by event time. */
function readingsByDevice(ledger: Ledger): number[][] {
  const byDevice: number[][] = Array.from({ length: ledger.header.devices }, () => []);
  for (let n = 0; n < ledger.size; n++) if (!ledger.invalid(n)) byDevice[ledger.device(n)]!.push(n);
  for (const readings of byDevice) readings.sort((a, b) => ledger.ts(a) - ledger.ts(b));
  return byDevice;
}

async function compareAll(
  check: RollupCheck,
  byDevice: readonly number[][],
  devices: readonly number[],
  counted: (n: number) => boolean,
): Promise<[number, DeviceVerdict][]> {
  const results: [number, DeviceVerdict][] = [];
  const queue = [...devices];
  const worker = async () => {
    for (let device = queue.shift(); device !== undefined; device = queue.shift()) {
      check.signal?.throwIfAborted();
      results.push([device, await compareDevice(check, device, byDevice[device]!, counted)]);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return results;
}

async function compareDevice(
  check: RollupCheck,
  device: number,
  readings: readonly number[],
  counted: (n: number) => boolean,
): Promise<DeviceVerdict> {
  const { ledger, store, resolution } = check;
  const verdict: DeviceVerdict = { windows: 0, seen: 0, mismatches: [] };
  if (readings.length === 0) return verdict;
  const present = readings.filter(counted);
  const from = windowStart(ledger.ts(readings[0]!), resolution.sizeMs);
  const to = windowStart(ledger.ts(readings.at(-1)!), resolution.sizeMs) + resolution.sizeMs;
  for (const [index, metric] of ledger.header.metrics.entries()) {
    const expected = aggregate(ledger, present, index, resolution.sizeMs);
    const series = { device: ledger.deviceId(device), metric };
    const actual = await rollupsOf(store, { ...series, resolution: resolution.name, from, to });
    verdict.windows += expected.size;
    verdict.seen += sum([...actual.values()].map((rollup) => rollup.count));
    for (const start of new Set([...expected.keys(), ...actual.keys()])) {
      const [want, have] = [expected.get(start), actual.get(start)];
      if (!agree(want, have)) {
        verdict.mismatches.push({ ...series, start, expected: want, actual: have && truthOf(have) });
      }
    }
  }
  return verdict;
}

/** A store that is away for a moment has nothing to show: the next round asks again. */
async function rollupsOf(
  store: Pick<Store, "rollups">,
  query: { device: string; metric: string; resolution: string; from: number; to: number },
): Promise<Map<number, Rollup>> {
  try {
    return new Map((await store.rollups(query)).map((rollup) => [rollup.start, rollup]));
  } catch (error) {
    if (hasCode(error, "STORE_UNAVAILABLE")) return new Map();
    throw error;
  }
}

/** Aggregates one metric by window, from readings in event-time order. */
function aggregate(
  ledger: Ledger,
  readings: readonly number[],
  metric: number,
  sizeMs: number,
): Map<number, Truth> {
  const windows = new Map<number, Truth>();
  for (const n of readings) {
    const value = ledger.value(n, metric);
    if (Number.isNaN(value)) continue;
    const start = windowStart(ledger.ts(n), sizeMs);
    const window = windows.get(start);
    if (!window) {
      windows.set(start, { count: 1, sum: value, min: value, max: value, first: value, last: value });
      continue;
    }
    window.count++;
    window.sum += value;
    window.min = Math.min(window.min, value);
    window.max = Math.max(window.max, value);
    window.last = value;
  }
  return windows;
}

function agree(expected: Truth | undefined, actual: Truth | undefined): boolean {
  if (!expected || !actual) return expected === actual;
  const slack = SUM_TOLERANCE * Math.max(Math.abs(expected.sum), Math.abs(actual.sum), 1);
  return FIELDS.every((field) =>
    field === "sum" ? Math.abs(expected.sum - actual.sum) <= slack : expected[field] === actual[field],
  );
}

function truthOf({ count, sum: total, min, max, first, last }: Rollup): Truth {
  return { count, sum: total, min, max, first, last };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
