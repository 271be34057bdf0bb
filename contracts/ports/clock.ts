/**
 * The clock port: the only door to time outside operators (operators get time from records alone, INV-4).
 */
export interface Clock {
  /** Wall clock, epoch milliseconds. */
  now(): number;
  /** For measuring spans; never goes back. */
  monotonicMs(): number;
  /** @throws SluiceError ABORTED when the signal aborts */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
