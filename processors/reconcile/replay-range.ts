/**
 * Which part of the log has to be read to get the windows of a time range right.
 *
 * A window needs every reading whose event time lies in it. A reading is ingested no earlier than its event time minus
 * the clock skew a gateway allows, and windows up to the coarsest one start at its border; readings that decide over
 * lateness and repeats come at most the allowed lateness before. So reading from that ingest time on sees all of it.
 */
import type { Log } from "../../contracts/ports/log.js";
import { TOPICS } from "../../contracts/topics.js";
import { windowStart } from "../../contracts/window.js";
import type { DownsampleOptions } from "../downsample/device-windows.js";
import type { ReplayRange } from "../engine/replay.js";

export interface Retained {
  ranges: ReplayRange[];
  /** True when retention has already removed records that windows of the range may need. */
  truncated: boolean;
}

/**
 * @param fromMs event time of the first window wanted
 * @param maxClockSkewMs how far ahead of the gateway's clock readings may have been
 */
export async function rangesFor(
  log: Log,
  fromMs: number,
  options: DownsampleOptions,
  maxClockSkewMs: number,
): Promise<Retained> {
  const coarsestMs = options.resolutions.at(-1)!.sizeMs;
  const ingestMs = windowStart(fromMs, coarsestMs) - maxClockSkewMs - options.allowedLatenessMs;
  const ranges: ReplayRange[] = [];
  let truncated = false;
  for (const { partition, earliest, next } of await log.ranges(TOPICS.readings)) {
    const from = await log.offsetForTime(TOPICS.readings, partition, Math.max(0, ingestMs));
    truncated ||= earliest > 0 && from <= earliest;
    ranges.push({ partition, from: Math.max(earliest, from), to: next });
  }
  return { ranges, truncated };
}
