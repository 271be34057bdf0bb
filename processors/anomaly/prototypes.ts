/**
 * A small sorted list of prototype values of one stream: "values seen before", each standing for its
 * neighbourhood. Owns lookup of the nearest prototype (binary search) and replacement of the least recently
 * used one. O(log capacity) per lookup, O(capacity) moves when a prototype is inserted, nothing allocated.
 */
export class PrototypeList {
  private readonly values: Float64Array;
  /** When each prototype was last matched, in readings. */
  private readonly used: Float64Array;
  private count = 0;
  /** Where the last looked-up value would be inserted; set by `nearest`, used by `insert`. */
  private slot = 0;
  private nearestIndex = -1;

  constructor(readonly capacity: number) {
    this.values = new Float64Array(capacity);
    this.used = new Float64Array(capacity);
  }

  get isEmpty(): boolean {
    return this.count === 0;
  }

  /** The prototype closest to `value` (the larger one on a tie); NaN while the list is empty. */
  nearest(value: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.values[middle]! < value) low = middle + 1;
      else high = middle;
    }
    this.slot = low;
    let index = low;
    if (low === this.count || (low > 0 && value - this.values[low - 1]! < this.values[low]! - value))
      index = low - 1;
    this.nearestIndex = index;
    return index < 0 ? Number.NaN : this.values[index]!;
  }

  /** Marks the prototype the last `nearest` found as used at reading number `now`. */
  touch(now: number): void {
    this.used[this.nearestIndex] = now;
  }

  /** Adds the value the last `nearest` was asked about, dropping the least recently used prototype if full. */
  insert(value: number, now: number): void {
    if (this.count === this.capacity) this.dropOldest();
    this.values.copyWithin(this.slot + 1, this.slot, this.count);
    this.used.copyWithin(this.slot + 1, this.slot, this.count);
    this.values[this.slot] = value;
    this.used[this.slot] = now;
    this.count++;
  }

  private dropOldest(): void {
    let oldest = 0;
    for (let i = 1; i < this.count; i++) if (this.used[i]! < this.used[oldest]!) oldest = i;
    this.values.copyWithin(oldest, oldest + 1, this.count);
    this.used.copyWithin(oldest, oldest + 1, this.count);
    this.count--;
    if (oldest < this.slot) this.slot--;
  }

  /** Values then use marks of the prototypes held: a flat array of twice their number. */
  save(): Float64Array {
    const out = new Float64Array(2 * this.count);
    out.set(this.values.subarray(0, this.count));
    out.set(this.used.subarray(0, this.count), this.count);
    return out;
  }

  /** @throws RangeError when the saved list does not fit this capacity. */
  load(saved: Float64Array): void {
    const count = saved.length / 2;
    if (count > this.capacity || !Number.isInteger(count))
      throw new RangeError(`${count} prototypes saved, room for ${this.capacity}`);
    this.values.set(saved.subarray(0, count));
    this.used.set(saved.subarray(count));
    this.count = count;
  }
}
