/**
 * Follows one partition of the alerts for as long as its signal lasts.
 *
 * Not through a consumer group: the active notifier reads all partitions, since a group of alerts, an inhibition and
 * a silence know nothing of partitions, and its positions are committed with its state.
 */
import { hasCode, SluiceError } from "../contracts/errors.js";
import type { Clock } from "../contracts/ports/clock.js";
import type { Log, LogRecord, Offset } from "../contracts/ports/log.js";
import { TOPICS } from "../contracts/topics.js";
import type { Logger } from "../runtime/logger.js";
import { retry } from "../runtime/retry.js";

export interface TailOptions {
  log: Log;
  clock: Clock;
  logger: Logger;
  partition: number;
  from: Offset;
  signal: AbortSignal;
  /** Resolves when the records are taken for good. */
  take: (records: readonly LogRecord[]) => Promise<void>;
}

/** Resolves when the signal aborts. @throws whatever does not pass by itself */
export async function tail(options: TailOptions): Promise<void> {
  const { clock, logger, partition, signal } = options;
  let next = options.from;
  const follow = async () => {
    for await (const records of read(options, next)) {
      await options.take(records);
      next = records.at(-1)!.offset + 1;
    }
    if (!signal.aborted) throw new SluiceError("LOG_UNAVAILABLE", "the read of alerts ended");
  };
  try {
    await retry(follow, {
      clock,
      signal,
      retryable: (error) => !signal.aborted && hasCode(error, "LOG_UNAVAILABLE"),
      onRetry: (error, attempt, delayMs) =>
        logger.warn({ err: error, partition, attempt, delayMs }, "alerts cannot be read, trying again"),
    });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** From `from` on, or from the earliest there is when retention has removed that. */
async function* read(options: TailOptions, from: Offset): AsyncIterable<LogRecord[]> {
  const { log, logger, partition, signal } = options;
  try {
    yield* log.read(TOPICS.alerts, partition, from, { follow: true, signal });
  } catch (error) {
    if (!hasCode(error, "LOG_OFFSET_OUT_OF_RANGE")) throw error;
    const ranges = await log.ranges(TOPICS.alerts);
    const to = ranges.find((range) => range.partition === partition)?.earliest ?? from;
    logger.error({ partition, from, to }, "retention removed alerts [from, to) that nobody was told of");
    yield* log.read(TOPICS.alerts, partition, to, { follow: true, signal });
  }
}
