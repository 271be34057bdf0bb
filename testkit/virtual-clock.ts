/**
 * A clock that stands still until told: simulations run hours in milliseconds, the same way every time.
 */
import { SluiceError } from "../contracts/errors.js";
import type { Clock } from "../contracts/ports/clock.js";

interface Timer {
  at: number;
  fire: () => void;
}

export class VirtualClock implements Clock {
  #now: number;
  /** Rising by time; equal times in the order they were asked for. */
  readonly #timers: Timer[] = [];

  constructor(startMs: number) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  monotonicMs(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => {
        const at = this.#timers.indexOf(timer);
        if (at >= 0) this.#timers.splice(at, 1);
        reject(new SluiceError("ABORTED", "wait was aborted"));
      };
      const fire = () => {
        signal?.removeEventListener("abort", abort);
        resolve();
      };
      const timer = { at: this.#now + ms, fire };
      if (signal?.aborted) return abort();
      signal?.addEventListener("abort", abort, { once: true });
      let at = this.#timers.length;
      while (at > 0 && this.#timers[at - 1]!.at > timer.at) at--;
      this.#timers.splice(at, 0, timer);
    });
  }

  /**
   * Runs everything due up to `done` being true, jumping from timer to timer.
   * @throws Error when nothing is left to wait for, or `limitMs` of virtual time have passed
   */
  async runUntil(done: () => boolean, limitMs: number): Promise<void> {
    const deadline = this.#now + limitMs;
    for (;;) {
      await settled();
      if (done()) return;
      const next = this.#timers.shift();
      if (!next) throw new Error("the simulation stands still: nothing is left to wait for");
      if (next.at > deadline) throw new Error(`not done after ${limitMs} ms of virtual time`);
      this.#now = Math.max(this.#now, next.at);
      next.fire();
    }
  }

  /** Runs everything due within the next `ms`. */
  async advance(ms: number): Promise<void> {
    let over = false;
    void this.sleep(ms).then(() => {
      over = true;
    });
    await this.runUntil(() => over, ms);
  }
}

/** The clock of one simulated process: its wall clock may be wrong, and after a crash its waits never end. */
export class ProcessClock implements Clock {
  readonly #clock: Clock;
  #killed = false;
  /** Wall clock minus true time. */
  #errorMs: number;

  constructor(clock: Clock, errorMs = 0) {
    this.#clock = clock;
    this.#errorMs = errorMs;
  }

  /** Sets the wall clock back or ahead of true time; spans and waits are not touched. */
  setError(errorMs: number): void {
    this.#errorMs = errorMs;
  }

  kill(): void {
    this.#killed = true;
  }

  now(): number {
    return this.#clock.now() + this.#errorMs;
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await this.#clock.sleep(ms, signal);
    if (this.#killed) await new Promise(() => {});
  }
}

/** Lets promise chains run as far as they go without time passing. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}
