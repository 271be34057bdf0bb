/**
 * Rollups in LMDB: upsert by identity, range reads of one series, retention by resolution.
 */
import type { RollupQuery } from "../../../contracts/ports/store.js";
import type { Rollup } from "../../../contracts/rollup.js";
import { parseDurationMs } from "../../../contracts/window.js";
import { decodeRollup, encodeRollups, rollupKey, rollupTimeKey, startOfRollupKey } from "./codec.js";
import type { StateEnv, Write } from "./env.js";

/** Reads let other work run after so many steps, since LMDB reads are synchronous. */
const STEPS_PER_TURN = 2_000;
const REMOVALS_PER_COMMIT = 5_000;
/** The last time that a JavaScript Date can hold; the first is its negative. */
const MAX_DATE_MS = 8.64e15;

/** The window size that a resolution's name says; 1 when it says none. */
function sizeOf(resolution: string): number {
  const known = sizes.get(resolution);
  if (known !== undefined) return known;
  const sizeMs = parseDurationMs(resolution) ?? 1;
  sizes.set(resolution, sizeMs);
  return sizeMs;
}

/** Resolutions are few: the configured ones. */
const sizes = new Map<string, number>();

/** In key order, which fills LMDB's pages: half the file. The sort is stable, so of equal keys the later one wins. */
export function rollupWrites(env: StateEnv, rollups: readonly Rollup[]): Write[] {
  const values = encodeRollups(rollups);
  const writes = rollups.map(({ resolution, start, device, metric }, i) => {
    if (start % sizeOf(resolution) !== 0)
      throw new Error(`${start} is not the start of a ${resolution} window`);
    return { table: env.rollups, key: rollupKey(resolution, start, device, metric), value: values[i] };
  });
  return writes.sort((a, b) => Buffer.compare(a.key, b.key));
}

/**
 * Reads one series in time order: a point read per window, and where the series has none, a seek to the next
 * window that any series has.
 */
export async function readRollups(env: StateEnv, query: RollupQuery): Promise<Rollup[]> {
  const { device, metric, resolution, limit = Number.POSITIVE_INFINITY } = query;
  const sizeMs = sizeOf(resolution);
  const to = Math.min(query.to, MAX_DATE_MS);
  const end = rollupTimeKey(resolution, to);
  const found: Rollup[] = [];
  let start = Math.ceil(Math.max(query.from, -MAX_DATE_MS) / sizeMs) * sizeMs;
  while (start < to && found.length < limit) {
    env.read((transaction) => {
      for (let step = 0; step < STEPS_PER_TURN && start < to && found.length < limit; step++) {
        const key = rollupKey(resolution, start, device, metric);
        const value = env.rollups.get(key, { transaction });
        if (value !== undefined) {
          found.push(decodeRollup({ device, metric, resolution, start }, value));
          start += sizeMs;
          continue;
        }
        const [next] = env.rollups.getKeys({ start: key, end, limit: 1, transaction });
        if (next === undefined) start = to;
        else
          start = Math.max(startOfRollupKey(next), start + (startOfRollupKey(next) === start ? sizeMs : 0));
      }
    });
    if (start < to && found.length < limit) await new Promise((resolve) => setImmediate(resolve));
  }
  return found;
}

/** Removes the rollups of `resolution` that start before `beforeMs`. @returns how many */
export async function removeRollupsBefore(
  env: StateEnv,
  resolution: string,
  beforeMs: number,
): Promise<number> {
  const start = rollupTimeKey(resolution, Number.MIN_SAFE_INTEGER);
  const end = rollupTimeKey(resolution, beforeMs);
  for (let removed = 0; ; ) {
    const keys = env.read((transaction) => [
      ...env.rollups.getKeys({ start, end, limit: REMOVALS_PER_COMMIT, transaction }),
    ]);
    if (keys.length === 0) return removed;
    await env.commit(keys.map((key) => ({ table: env.rollups, key, value: undefined })));
    removed += keys.length;
  }
}
