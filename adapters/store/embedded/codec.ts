/**
 * Binary keys and values of the embedded store. Keys sort as bytes; numbers keep every bit.
 */
import { Packr } from "msgpackr";
import { ROLLUP_FIELDS, type Rollup } from "../../../contracts/rollup.js";

const SEPARATOR = 0;
const TWO_32 = 2 ** 32;
const TIME_BYTES = 8;
const ROLLUP_BYTES = ROLLUP_FIELDS.length * 8;

/**
 * (resolution, start, device, metric). Time comes before the series, so that a commit, which touches one or two
 * windows of many series, rewrites few pages: three times the write rate of series-first order.
 */
export function rollupKey(resolution: string, start: number, device: string, metric: string): Buffer {
  const key = Buffer.allocUnsafe(
    TIME_BYTES + 2 + Buffer.byteLength(resolution) + Buffer.byteLength(device) + Buffer.byteLength(metric),
  );
  let at = key.write(resolution);
  key[at++] = SEPARATOR;
  at = writeTime(key, start, at);
  at += key.write(device, at);
  key[at++] = SEPARATOR;
  key.write(metric, at);
  return key;
}

/** Start of the key range of all rollups of `resolution` that start at or after `start`. */
export function rollupTimeKey(resolution: string, start: number): Buffer {
  const key = Buffer.allocUnsafe(TIME_BYTES + 1 + Buffer.byteLength(resolution));
  const at = key.write(resolution);
  key[at] = SEPARATOR;
  writeTime(key, start, at + 1);
  return key;
}

/** Window start of a rollup key. */
export function startOfRollupKey(key: Buffer): number {
  return readTime(key, key.indexOf(SEPARATOR) + 1);
}

/** The fields of {@link ROLLUP_FIELDS} of each rollup, as doubles in the byte order of the host, as LMDB's own. */
export function encodeRollups(rollups: readonly Rollup[]): Uint8Array[] {
  const width = ROLLUP_FIELDS.length;
  const numbers = new Float64Array(rollups.length * width);
  return rollups.map((rollup, i) => {
    const at = i * width;
    numbers[at] = rollup.count;
    numbers[at + 1] = rollup.min;
    numbers[at + 2] = rollup.max;
    numbers[at + 3] = rollup.sum;
    numbers[at + 4] = rollup.mean;
    numbers[at + 5] = rollup.first;
    numbers[at + 6] = rollup.last;
    numbers[at + 7] = rollup.p50;
    numbers[at + 8] = rollup.p95;
    numbers[at + 9] = rollup.p99;
    numbers[at + 10] = rollup.revision;
    return new Uint8Array(numbers.buffer, at * 8, ROLLUP_BYTES);
  });
}

export function decodeRollup(
  { device, metric, resolution, start }: Pick<Rollup, "device" | "metric" | "resolution" | "start">,
  value: Uint8Array,
): Rollup {
  scratchBytes.set(value);
  return {
    device,
    metric,
    resolution,
    start,
    count: scratch[0]!,
    min: scratch[1]!,
    max: scratch[2]!,
    sum: scratch[3]!,
    mean: scratch[4]!,
    first: scratch[5]!,
    last: scratch[6]!,
    p50: scratch[7]!,
    p95: scratch[8]!,
    p99: scratch[9]!,
    revision: scratch[10]!,
  };
}

/** Values lie unaligned in LMDB's pages. */
const scratch = new Float64Array(ROLLUP_FIELDS.length);
const scratchBytes = new Uint8Array(scratch.buffer);

const packr = new Packr({ useRecords: false });

/** Alerts and device summaries, as MessagePack: rare or few, and with optional fields. */
export function pack(row: object): Buffer {
  return packr.pack(row);
}

export function unpack<T>(value: Buffer): T {
  return packr.unpack(value) as T;
}

/** (scope, state, time, id): `scope` is a device, or empty for all of them. */
export function alertIndexKey(scope: string, state: string, updatedAt: number, id: string): Buffer {
  const head = Buffer.from(`${scope}\0${state}\0`);
  const key = Buffer.allocUnsafe(head.length + TIME_BYTES + Buffer.byteLength(id));
  head.copy(key);
  key.write(id, writeTime(key, updatedAt, head.length));
  return key;
}

/** The half-open key range that a scope and state take in the alert index, and how to read its keys. */
export function alertIndexRange(scope: string, state: string) {
  const start = Buffer.from(`${scope}\0${state}\0`);
  const end = Buffer.from(`${scope}\0${state}\x01`);
  return {
    start,
    end,
    entry: (key: Buffer) => ({
      updatedAt: readTime(key, start.length),
      id: key.toString("utf8", start.length + TIME_BYTES),
    }),
  };
}

/** Safe integers of either sign, in order. */
function writeTime(target: Buffer, ms: number, at: number): number {
  target.writeUInt32BE(Math.floor(ms / TWO_32) + 2 ** 31, at);
  return target.writeUInt32BE(ms >>> 0, at + 4);
}

function readTime(source: Buffer, at: number): number {
  return (source.readUInt32BE(at) - 2 ** 31) * TWO_32 + source.readUInt32BE(at + 4);
}
