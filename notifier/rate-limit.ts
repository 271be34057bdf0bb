/**
 * A token bucket: `count` at once, then one each `per / count`. Over the limit things wait, nothing is dropped.
 */
export class RateLimit {
  readonly #count: number;
  readonly #perMs: number;
  #tokens: number;
  #filledAt: number;

  constructor(limit: { count: number; per: number }, now: number) {
    this.#count = limit.count;
    this.#perMs = limit.per;
    this.#tokens = limit.count;
    this.#filledAt = now;
  }

  /** Takes one when there is one. */
  take(now: number): boolean {
    this.#fill(now);
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** When the next one will be there. */
  nextAt(now: number): number {
    this.#fill(now);
    return this.#tokens >= 1 ? now : now + Math.ceil(((1 - this.#tokens) * this.#perMs) / this.#count);
  }

  #fill(now: number): void {
    // A wall clock that was set back fills nothing.
    const grown = (Math.max(0, now - this.#filledAt) * this.#count) / this.#perMs;
    this.#tokens = Math.min(this.#count, this.#tokens + grown);
    this.#filledAt = now;
  }
}
