/**
 * What a set of rules would have done over the retained log. Nothing is written anywhere: the operators run as in a
 * replay, from the first record retained, so that detectors know what they would have known.
 */
import type { Alert } from "../../contracts/alert.js";
import type { Log } from "../../contracts/ports/log.js";
import type { Logger } from "../../runtime/logger.js";
import type { Rule } from "../alerting/rules.js";
import type { DownsampleOptions } from "../downsample/device-windows.js";
import { type ReplayRange, replay } from "../engine/replay.js";

export interface BacktestOptions extends DownsampleOptions {
  log: Log;
  logger: Logger;
  rules: readonly Rule[];
  ranges: readonly ReplayRange[];
  /** Alerts that begin in [fromMs, toMs) are reported. */
  fromMs: number;
  toMs: number;
  /** Silence is judged up to here; up to the last record when absent. */
  nowMs?: number;
  onProgress?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

export interface BacktestResult {
  /** Each in its last state, by the time it began. */
  alerts: Alert[];
  /** Records read. */
  records: number;
  /** The event time that the readings of the interval cover, to the finest window; undefined when there are none. */
  span: { firstMs: number; lastMs: number } | undefined;
}

/** @throws SluiceError LOG_UNAVAILABLE, LOG_OFFSET_OUT_OF_RANGE */
export async function backtest(options: BacktestOptions): Promise<BacktestResult> {
  const { log, logger, rules, ranges, fromMs, toMs, nowMs, onProgress, signal } = options;
  const alerts = new Map<string, Alert>();
  let firstMs = Number.POSITIVE_INFINITY;
  let lastMs = Number.NEGATIVE_INFINITY;
  // Which readings count is decided by the finest windows; nobody looks at the others here.
  const operator = {
    resolutions: options.resolutions.slice(0, 1),
    allowedLatenessMs: options.allowedLatenessMs,
    rules,
  };
  const { processed } = await replay({
    ...{ log, logger, ranges, operator },
    ...(nowMs !== undefined && { nowMs }),
    ...(onProgress && { onProgress }),
    ...(signal && { signal }),
    write: async (batch) => {
      for (const alert of batch.alerts)
        if (alert.startedAt >= fromMs && alert.startedAt < toMs) alerts.set(alert.id, alert);
      for (const { start } of batch.rollups) {
        if (start < fromMs || start >= toMs) continue;
        firstMs = Math.min(firstMs, start);
        lastMs = Math.max(lastMs, start + operator.resolutions[0]!.sizeMs);
      }
    },
  });
  const sorted = [...alerts.values()].sort((a, b) => a.startedAt - b.startedAt || (a.id < b.id ? -1 : 1));
  return { alerts: sorted, records: processed, span: lastMs > firstMs ? { firstMs, lastMs } : undefined };
}
