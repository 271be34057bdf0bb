/**
 * Where log and counters stood before a run, so that only what the run added is judged.
 */
import { hasCode } from "../contracts/errors.js";
import type { Log } from "../contracts/ports/log.js";
import { TOPICS } from "../contracts/topics.js";

/** The counters of `/api/v1/stats` that are checked: totals since the gateway started. */
export interface Stats {
  /** Messages that arrived. */
  received: number;
  /** Readings appended to the log. */
  readings: number;
  /** Dead letters appended to the log. */
  invalid: number;
  /** When the counting process started, epoch milliseconds: counters of another life cannot be compared. */
  startedAt?: number;
}

/** Reads the counters now. */
export type StatsSource = () => Promise<Stats>;

/** Next offset by partition. */
export type Offsets = Record<number, number>;

export interface Baseline {
  /** By topic name; a topic that did not exist has no offsets and is read from its beginning. */
  offsets: Record<string, Offsets>;
  stats?: Stats;
}

/** The topics a run can add to. */
export const JUDGED_TOPICS = [TOPICS.readings, TOPICS.invalid, TOPICS.late] as const;

/**
 * Notes where log and counters stand. Take it before the fleet starts.
 * @throws SluiceError LOG_UNAVAILABLE
 */
export async function takeBaseline(from: {
  log: Pick<Log, "ranges">;
  stats?: StatsSource;
}): Promise<Baseline> {
  const offsets: Record<string, Offsets> = {};
  for (const topic of JUDGED_TOPICS) offsets[topic] = await ends(from.log, topic);
  return { offsets, ...(from.stats && { stats: await from.stats() }) };
}

async function ends(log: Pick<Log, "ranges">, topic: string): Promise<Offsets> {
  try {
    return Object.fromEntries((await log.ranges(topic)).map(({ partition, next }) => [partition, next]));
  } catch (error) {
    if (hasCode(error, "LOG_UNKNOWN_TOPIC")) return {};
    throw error;
  }
}
