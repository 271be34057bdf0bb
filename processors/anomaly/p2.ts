/**
 * One quantile of a stream from five markers: no readings are kept. O(1), eleven numbers of state.
 *
 * Source: Jain and Chlamtac, "The P-square algorithm for dynamic calculation of quantiles and histograms without storing
 * observations" (CACM 28(10), 1985).
 */
const MARKERS = 5;
export const P2_NUMBERS = 2 * MARKERS + 1;

export class P2Quantile {
  /** Marker heights, ascending, and their actual positions (1-based ranks). */
  private readonly heights = new Float64Array(MARKERS);
  private readonly positions = new Float64Array(MARKERS);
  count = 0;

  constructor(private readonly quantile: number) {}

  /** The estimate; exact up to five readings; NaN before the first. */
  get value(): number {
    if (this.count >= MARKERS) return this.heights[2]!;
    return this.count === 0
      ? Number.NaN
      : this.heights[Math.min(this.count - 1, Math.floor(this.quantile * this.count))]!;
  }

  learn(x: number): void {
    if (this.count < MARKERS) {
      this.insertFirst(x);
      return;
    }
    this.count++;
    const cell = this.cellOf(x);
    for (let i = cell + 1; i < MARKERS; i++) this.positions[i]!++;
    for (let i = 1; i < MARKERS - 1; i++) this.adjust(i);
  }

  /** The first five readings are the markers, kept sorted. */
  private insertFirst(x: number): void {
    let i = this.count++;
    for (; i > 0 && this.heights[i - 1]! > x; i--) this.heights[i] = this.heights[i - 1]!;
    this.heights[i] = x;
    this.positions[this.count - 1] = this.count;
  }

  /** Index k of the cell [height k, height k+1) that holds x, stretching the outer markers to reach it. */
  private cellOf(x: number): number {
    if (x < this.heights[0]!) this.heights[0] = x;
    if (x >= this.heights[4]!) this.heights[4] = x;
    let cell = 0;
    while (cell < MARKERS - 2 && x >= this.heights[cell + 1]!) cell++;
    return cell;
  }

  private desired(i: number): number {
    const p = this.quantile;
    const share = i === 1 ? p / 2 : i === 2 ? p : (1 + p) / 2;
    return 1 + (this.count - 1) * share;
  }

  private adjust(i: number): void {
    const { positions: n, heights: q } = this;
    const off = this.desired(i) - n[i]!;
    if (!((off >= 1 && n[i + 1]! - n[i]! > 1) || (off <= -1 && n[i - 1]! - n[i]! < -1))) return;
    const d = Math.sign(off);
    const parabolic = this.parabolic(i, d);
    q[i] =
      q[i - 1]! < parabolic && parabolic < q[i + 1]!
        ? parabolic
        : q[i]! + (d * (q[i + d]! - q[i]!)) / (n[i + d]! - n[i]!);
    n[i] = n[i]! + d;
  }

  private parabolic(i: number, d: number): number {
    const { positions: n, heights: q } = this;
    const above = ((n[i]! - n[i - 1]! + d) * (q[i + 1]! - q[i]!)) / (n[i + 1]! - n[i]!);
    const below = ((n[i + 1]! - n[i]! - d) * (q[i]! - q[i - 1]!)) / (n[i]! - n[i - 1]!);
    return q[i]! + (d / (n[i + 1]! - n[i - 1]!)) * (above + below);
  }

  restart(): void {
    this.heights.fill(0);
    this.positions.fill(0);
    this.count = 0;
  }

  /** Writes the state to out[at .. at + P2_NUMBERS). */
  saveTo(out: Float64Array, at: number): void {
    out.set(this.heights, at);
    out.set(this.positions, at + MARKERS);
    out[at + 2 * MARKERS] = this.count;
  }

  restoreFrom(saved: Float64Array, at: number): void {
    this.heights.set(saved.subarray(at, at + MARKERS));
    this.positions.set(saved.subarray(at + MARKERS, at + 2 * MARKERS));
    this.count = saved[at + 2 * MARKERS]!;
  }
}
