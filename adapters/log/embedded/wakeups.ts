/**
 * Waiting for new records at the end of a partition: woken at once by appends of this process, and by polling
 * for those of others. One poll loop for all who wait; none while nobody does.
 */
import type { Clock } from "../../../contracts/ports/clock.js";
import type { Offset } from "../../../contracts/ports/log.js";
import type { PartitionKey, Storage } from "./storage.js";

interface Waiter {
  key: PartitionKey;
  next: Offset;
  wake(): void;
}

export class Wakeups {
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #pollMs: number;
  readonly #waiters = new Set<Waiter>();
  readonly #stop = new AbortController();
  #polling: Promise<void> | undefined;

  constructor(storage: Storage, clock: Clock, pollMs: number) {
    this.#storage = storage;
    this.#clock = clock;
    this.#pollMs = pollMs;
  }

  /** Resolves when the partition's end may have passed `next`, the signal aborted, or {@link close} was called. */
  wait(key: PartitionKey, next: Offset, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const waiter: Waiter = {
        key,
        next,
        wake: () => {
          this.#waiters.delete(waiter);
          signal?.removeEventListener("abort", waiter.wake);
          resolve();
        },
      };
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", waiter.wake, { once: true });
      if (signal?.aborted === true || this.#stop.signal.aborted) waiter.wake();
      else this.#polling ??= this.#poll();
    });
  }

  /** This process committed records to the partition. */
  wake(key: PartitionKey): void {
    for (const waiter of this.#waiters) {
      if (waiter.key[0] === key[0] && waiter.key[1] === key[1]) waiter.wake();
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
    for (const waiter of this.#waiters) waiter.wake();
    await this.#polling;
  }

  async #poll(): Promise<void> {
    try {
      while (this.#waiters.size > 0) {
        await this.#clock.sleep(this.#pollMs, this.#stop.signal);
        this.#storage.refresh();
        for (const waiter of this.#waiters) {
          if (this.#storage.state(waiter.key).next > waiter.next) waiter.wake();
        }
      }
    } catch {
      // Closing, or the log cannot be read: whoever waits reads for itself and meets the error there.
      for (const waiter of this.#waiters) waiter.wake();
    }
    this.#polling = undefined;
  }
}
