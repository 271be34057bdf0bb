/**
 * `/api/v1/stats`: the counters of gateway and processor in one flat object (INV-2).
 *
 * Gateway counters run since this process started; processor counters are totals over the log and survive restarts.
 */
import type { Gateway } from "../gateway/main.js";
import type { Processor } from "../processors/engine/processor.js";

const LAG_INTERVAL_MS = 1_000;

export interface StatsSource {
  read(): Record<string, unknown>;
  close(): Promise<void>;
}

/** @param startedAt when this process started, epoch milliseconds: tells a restart from counters that fell */
export function mergedStats(
  running: { gateway?: Gateway; processor?: Processor },
  startedAt: number,
): StatsSource {
  let lag = 0;
  let asking: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    asking = asking.then(async () => {
      // A lag that cannot be read keeps its last value; /readyz says why the log is away.
      lag = (await running.processor?.lag().catch(() => lag)) ?? 0;
    });
  }, LAG_INTERVAL_MS);
  return {
    read: () => ({
      startedAt,
      ...running.gateway?.stats(),
      ...(running.processor && {
        ...running.processor.counters(),
        lag,
        uncommitted: running.processor.uncommitted(),
        expired: running.processor.expired,
      }),
    }),
    close: async () => {
      clearInterval(timer);
      await asking;
    },
  };
}
