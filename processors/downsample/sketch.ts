/**
 * A quantile sketch with integer counts: order-free, mergeable, bounded.
 *
 * Source: UDDSketch (Epicoco, Melle, Cafaro, Pulimeno, Morleo: "UDDSketch: Accurate Tracking of Quantiles in Data
 * Streams", IEEE Access 2020), which adds a uniform collapse to DDSketch (Masson, Rim, Lee, VLDB 2019).
 * A value falls into a bucket whose borders grow geometrically, so that a quantile is within a relative error of
 * the true value. When more than MAX_BUCKETS are in use, neighbours are joined pairwise (one level up, about twice
 * the error): the level depends only on the set of values, never on the order in which they came.
 *
 * Guarantees: equal multisets of values give equal sketches, however they were added or merged (INV-4). At level 0
 * the relative error is at most 0.1 %. Size is at most MAX_BUCKETS buckets of 8 bytes.
 */

/** Relative error of a quantile at level 0. */
export const RELATIVE_ACCURACY = 0.001;
/** Most buckets a sketch keeps before it collapses one level. */
export const MAX_BUCKETS = 256;

const GAMMA = (1 + RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY);
const LOG_GAMMA = Math.log(GAMMA);
/** Bucket indices of doubles lie within +-355,000: adding this makes every positive value's code positive. */
const CODE_OFFSET = 1 << 20;

/** Buckets sorted by the values they hold. Immutable by agreement: operations return new sketches. */
export interface Sketch {
  level: number;
  /** Positive values: index + CODE_OFFSET; zero: 0; negative values: -(index of |value| + CODE_OFFSET). */
  codes: Int32Array;
  counts: Uint32Array;
}

/** The sketch of `values`, which must be sorted in rising order and finite. */
export function sketchOf(sorted: ArrayLike<number>): Sketch {
  const codes = new Int32Array(sorted.length);
  const counts = new Uint32Array(sorted.length);
  let used = 0;
  for (let i = 0; i < sorted.length; i++) {
    const code = codeOf(sorted[i]!);
    if (used > 0 && codes[used - 1] === code) counts[used - 1]!++;
    else {
      codes[used] = code;
      counts[used++] = 1;
    }
  }
  return bounded({ level: 0, codes: codes.slice(0, used), counts: counts.slice(0, used) });
}

/** The sketch of both multisets together. */
export function mergeSketches(a: Sketch, b: Sketch): Sketch {
  const level = Math.max(a.level, b.level);
  const left = raised(a, level);
  const right = raised(b, level);
  const codes = new Int32Array(left.codes.length + right.codes.length);
  const counts = new Uint32Array(codes.length);
  let used = 0;
  let i = 0;
  let j = 0;
  while (i < left.codes.length || j < right.codes.length) {
    const x = i < left.codes.length ? left.codes[i]! : Number.POSITIVE_INFINITY;
    const y = j < right.codes.length ? right.codes[j]! : Number.POSITIVE_INFINITY;
    codes[used] = Math.min(x, y);
    let count = 0;
    if (x <= y) count += left.counts[i++]!;
    if (y <= x) count += right.counts[j++]!;
    counts[used++] = count;
  }
  return bounded({ level, codes: codes.slice(0, used), counts: counts.slice(0, used) });
}

/**
 * Quantiles by nearest rank: for each q, the bucket that holds the ceil(q * n)-th smallest value.
 * @param quantiles rising, each in (0, 1]
 * @returns one value for each, clamped to [min, max] of the data
 */
export function quantilesOf(
  sketch: Sketch,
  quantiles: readonly number[],
  min: number,
  max: number,
): number[] {
  let total = 0;
  for (const count of sketch.counts) total += count;
  const result: number[] = [];
  let bucket = 0;
  let seen = sketch.counts[0] ?? 0;
  for (const q of quantiles) {
    const rank = Math.max(1, Math.ceil(q * total));
    while (seen < rank) seen += sketch.counts[++bucket]!;
    result.push(Math.min(max, Math.max(min, midpointOf(sketch.codes[bucket]!, sketch.level))));
  }
  return result;
}

function codeOf(value: number): number {
  if (value === 0) return 0;
  const index = Math.ceil(Math.log(Math.abs(value)) / LOG_GAMMA) + CODE_OFFSET;
  return value > 0 ? index : -index;
}

/** The point of a bucket from which no value in it is further than the relative error. */
function midpointOf(code: number, level: number): number {
  if (code === 0) return 0;
  const index = Math.abs(code) - CODE_OFFSET;
  const gamma = GAMMA ** (2 ** level);
  const magnitude = (2 * gamma ** index) / (gamma + 1);
  return code > 0 ? magnitude : -magnitude;
}

function raised(sketch: Sketch, level: number): Sketch {
  let result = sketch;
  while (result.level < level) result = collapsed(result);
  return result;
}

function bounded(sketch: Sketch): Sketch {
  let result = sketch;
  while (result.codes.length > MAX_BUCKETS) result = collapsed(result);
  return result;
}

/** One level up: bucket i of the next level holds buckets 2i-1 and 2i of this one. */
function collapsed(sketch: Sketch): Sketch {
  const codes = new Int32Array(sketch.codes.length);
  const counts = new Uint32Array(sketch.codes.length);
  let used = 0;
  for (let i = 0; i < sketch.codes.length; i++) {
    const code = parentCode(sketch.codes[i]!);
    if (used > 0 && codes[used - 1] === code) counts[used - 1]! += sketch.counts[i]!;
    else {
      codes[used] = code;
      counts[used++] = sketch.counts[i]!;
    }
  }
  return { level: sketch.level + 1, codes: codes.slice(0, used), counts: counts.slice(0, used) };
}

function parentCode(code: number): number {
  if (code === 0) return 0;
  const parent = Math.ceil((Math.abs(code) - CODE_OFFSET) / 2) + CODE_OFFSET;
  return code > 0 ? parent : -parent;
}
