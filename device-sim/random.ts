/**
 * Seeded randomness: a sequence generator for decisions taken in order, and a hash for noise that is a pure function
 * of where it is asked for. Nothing in the simulator uses Math.random, so a seed reproduces a fleet.
 */

/** A 32-bit finaliser with full avalanche: fmix32 of MurmurHash3 (Austin Appleby, public domain). */
function mix32(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Hashes integers (each up to 2^53) to 32 bits; order matters. */
export function hash32(...parts: number[]): number {
  let h = 0x9e3779b9;
  for (const part of parts) {
    h = mix32(h ^ (part % 0x1_0000_0000));
    h = mix32((h + Math.floor(part / 0x1_0000_0000) + 0x7f4a7c15) | 0);
  }
  return h;
}

/** Uniform in [0, 1), a pure function of its arguments. */
export function uniformAt(...parts: number[]): number {
  return hash32(...parts) / 0x1_0000_0000;
}

/**
 * xoshiro128** 1.1 by David Blackman and Sebastiano Vigna (public domain,
 * https://prng.di.unimi.it/xoshiro128starstar.c).
 */
export class Random {
  readonly #s: Uint32Array;

  /** `state`: four 32-bit words, not all zero. */
  constructor(state: readonly [number, number, number, number]) {
    this.#s = Uint32Array.from(state);
    if (this.#s.every((word) => word === 0)) throw new Error("an all-zero state only yields zeros");
  }

  /** A generator of its own for each (seed, stream). */
  static seeded(seed: number, stream: number): Random {
    return new Random([
      hash32(seed, stream, 1),
      hash32(seed, stream, 2),
      hash32(seed, stream, 3),
      hash32(seed, stream, 4) | 1,
    ]);
  }

  uint32(): number {
    const s = this.#s;
    const s1 = s[1]!;
    const result = Math.imul(rotl(Math.imul(s1, 5), 7), 9) >>> 0;
    s[2]! ^= s[0]!;
    s[3]! ^= s1;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= s1 << 9;
    s[3] = rotl(s[3]!, 11);
    return result;
  }

  /** Uniform in [0, 1). */
  float(): number {
    return this.uint32() / 0x1_0000_0000;
  }

  /** Uniform integer in [0, limit). */
  int(limit: number): number {
    return Math.floor(this.float() * limit);
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.float() < probability;
  }
}

function rotl(x: number, k: number): number {
  return (x << k) | (x >>> (32 - k));
}
