/**
 * Waiting for work with a deadline.
 */
import type { Clock } from "../contracts/ports/clock.js";

/** Resolves when the work does, or when its time is up. */
export async function within(clock: Clock, deadlineMs: number, work: Promise<void>): Promise<void> {
  const abort = new AbortController();
  const deadline = clock.sleep(deadlineMs, abort.signal).catch(() => undefined);
  await Promise.race([work, deadline]);
  abort.abort();
}
