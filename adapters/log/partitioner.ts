/**
 * Which partition a record goes to, exactly as Kafka's Java client decides it: murmur2 over the UTF-8 bytes of the
 * key, made positive, modulo the partition count. Records written here and by a Kafka producer therefore agree.
 *
 * Pure: no state but the round robin of {@link KeylessPartitions}.
 */
const SEED = 0x9747b28c;
const M = 0x5bd1e995;
const MAX_ASCII = 0x7f;

/** murmur2 as in `org.apache.kafka.common.utils.Utils.murmur2`: a signed 32-bit integer. */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length;
  let h = SEED ^ length;
  const blocksEnd = length & ~3;
  for (let i = 0; i < blocksEnd; i += 4) {
    h = mix(h, bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24));
  }
  const rest = length - blocksEnd;
  if (rest === 3) h ^= bytes[blocksEnd + 2]! << 16;
  if (rest >= 2) h ^= bytes[blocksEnd + 1]! << 8;
  if (rest >= 1) h = Math.imul(h ^ bytes[blocksEnd]!, M);
  return finish(h);
}

/** The partition of `key`, in [0, partitions). */
export function partitionForKey(key: string, partitions: number): number {
  if (partitions === 1) return 0;
  return (murmur2Text(key) & 0x7fffffff) % partitions;
}

/** Spreads records without a key: all of one append go to one partition, the next append to the next one. */
export class KeylessPartitions {
  readonly #next = new Map<string, number>();

  /** The partition for the keyless records of one append to `topic`. */
  next(topic: string, partitions: number): number {
    const partition = (this.#next.get(topic) ?? 0) % partitions;
    this.#next.set(topic, partition + 1);
    return partition;
  }
}

/** Keys are nearly always ASCII (device ids): then the characters are the bytes and nothing is allocated. */
function murmur2Text(text: string): number {
  const length = text.length;
  let h = SEED ^ length;
  let seen = 0;
  const blocksEnd = length & ~3;
  for (let i = 0; i < blocksEnd; i += 4) {
    const a = text.charCodeAt(i);
    const b = text.charCodeAt(i + 1);
    const c = text.charCodeAt(i + 2);
    const d = text.charCodeAt(i + 3);
    seen |= a | b | c | d;
    h = mix(h, a | (b << 8) | (c << 16) | (d << 24));
  }
  const rest = length - blocksEnd;
  for (let i = rest - 1; i >= 0; i--) {
    const byte = text.charCodeAt(blocksEnd + i);
    seen |= byte;
    h ^= byte << (8 * i);
  }
  if (seen > MAX_ASCII) return murmur2(Buffer.from(text, "utf8"));
  return finish(rest > 0 ? Math.imul(h, M) : h);
}

function mix(h: number, block: number): number {
  let k = Math.imul(block, M);
  k ^= k >>> 24;
  return Math.imul(h, M) ^ Math.imul(k, M);
}

function finish(hash: number): number {
  let h = hash;
  h ^= h >>> 13;
  h = Math.imul(h, M);
  return (h ^ (h >>> 15)) | 0;
}
