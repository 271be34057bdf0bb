/**
 * The latest readings of one series, by event time: what an explanation shows, and what a correction is judged by.
 */

/** Enough to see what led up to an alert, and no more than 320 bytes a series. */
export const RECENT_READINGS = 20;

export class RecentReadings {
  /** Pairs of time and value, rising by time; readings of one time in the order they came. */
  readonly #pairs: Float64Array;
  #count: number;

  constructor(saved?: Float64Array) {
    this.#pairs = new Float64Array(2 * RECENT_READINGS);
    this.#count = saved ? Math.min(RECENT_READINGS, saved.length >> 1) : 0;
    if (saved) this.#pairs.set(saved.subarray(0, 2 * this.#count));
  }

  /** Takes a reading; the oldest one goes when there are too many, which may be this one. */
  add(ts: number, value: number): void {
    const pairs = this.#pairs;
    let at = this.#count;
    while (at > 0 && pairs[2 * at - 2]! > ts) at--;
    if (this.#count === RECENT_READINGS) {
      if (at === 0) return;
      pairs.copyWithin(0, 2, 2 * at);
      at--;
    } else {
      pairs.copyWithin(2 * at + 2, 2 * at, 2 * this.#count);
      this.#count++;
    }
    pairs[2 * at] = ts;
    pairs[2 * at + 1] = value;
  }

  /** Those at or before `ts`. */
  upTo(ts: number): [ts: number, value: number][] {
    const found: [number, number][] = [];
    for (let i = 0; i < this.#count && this.#pairs[2 * i]! <= ts; i++) {
      found.push([this.#pairs[2 * i]!, this.#pairs[2 * i + 1]!]);
    }
    return found;
  }

  /** The first one in (after, before) that the test is true of. */
  first(
    after: number,
    before: number,
    test: (ts: number, value: number) => boolean,
  ): [ts: number, value: number] | undefined {
    for (let i = 0; i < this.#count; i++) {
      const ts = this.#pairs[2 * i]!;
      const value = this.#pairs[2 * i + 1]!;
      if (ts > after && ts < before && test(ts, value)) return [ts, value];
    }
    return undefined;
  }

  save(): Float64Array {
    return this.#pairs.slice(0, 2 * this.#count);
  }
}
