/**
 * Retrying with capped exponential back-off. Every wait goes through the Clock and takes an AbortSignal.
 */
import type { Clock } from "../contracts/ports/clock.js";

export interface RetryOptions {
  clock: Clock;
  signal?: AbortSignal;
  /** First wait; it doubles up to `maxDelayMs`. */
  minDelayMs?: number;
  maxDelayMs?: number;
  /** Which errors are worth another try; others are thrown at once. */
  retryable: (error: unknown) => boolean;
  /** Told before each wait: log it and count it. */
  onRetry?: (error: unknown, attempt: number, delayMs: number) => void;
}

/** Calls `work` until it resolves, an error is not retryable, or the signal aborts (SluiceError ABORTED). */
export async function retry<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { minDelayMs = 100, maxDelayMs = 5_000 } = options;
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!options.retryable(error)) throw error;
      const delayMs = Math.min(maxDelayMs, minDelayMs * 2 ** Math.min(attempt - 1, 20));
      options.onRetry?.(error, attempt, delayMs);
      await options.clock.sleep(delayMs, options.signal);
    }
  }
}
