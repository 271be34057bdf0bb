/**
 * The stored form of a batch: the records of one partition that one commit wrote, as one value.
 *
 * Columns rather than rows, so that reading costs one pass over fixed-width numbers and a view per value:
 *
 *     0  u32  format (MAGIC)                 32      f64[count]  timestamps
 *     4  u32  CRC-32 of [16, end)            then    u32[count]  end of each value
 *     8  f64  offset of the first record     then    u32[count]  end of each key x 2, + 1 when there is no key
 *    16  u32  count                          then    u32[count]  end of each header text (only with HAS_HEADERS)
 *    20  u32  flags                          then    the keys, the header texts (JSON), the values
 *    24  f64  largest timestamp
 *
 * All little-endian; ends count from the start of their own section. LMDB's transactions rule out half-written
 * values, but not bits that rot on the disk: hence the checksum, which costs little beside the copy.
 */
import { crc32 } from "node:zlib";
import { SluiceError } from "../../../contracts/errors.js";
import type { AppendRecord, LogRecord, Offset } from "../../../contracts/ports/log.js";

const MAGIC = 0x31424c53;
const HEADER_BYTES = 32;
const CHECKED_FROM = 16;
const ASCII_KEYS = 1;
const HAS_HEADERS = 2;
const NO_HEADERS: Record<string, string> = Object.freeze(Object.create(null) as Record<string, string>);

export interface EncodedBatch {
  bytes: Buffer;
  count: number;
  maxTimestamp: number;
}

/** An upper bound of what a record adds to a batch, headers aside. */
export function recordBytes(record: AppendRecord): number {
  const key = record.key === undefined ? 0 : record.key.length * 3;
  return record.value.length + key + 20;
}

/** The batch without its base offset, which {@link setBaseOffset} fills in inside the write transaction. */
export function encodeBatch(records: readonly AppendRecord[]): EncodedBatch {
  const count = records.length;
  const headers = headerTexts(records);
  const keyText = joinKeys(records);
  const keyBytes = Buffer.byteLength(keyText);
  const ascii = keyBytes === keyText.length;
  let valueBytes = 0;
  for (const record of records) valueBytes += record.value.length;
  const headerBytes =
    headers === undefined ? 0 : headers.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const columns = count * (headers === undefined ? 16 : 20);
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + columns + keyBytes + headerBytes + valueBytes);

  let at = HEADER_BYTES;
  const maxTimestamp = writeTimestamps(bytes, at, records);
  at = writeValueEnds(bytes, at + count * 8, records);
  at = writeKeyEnds(bytes, at, records, ascii);
  if (headers !== undefined) at = writeTextEnds(bytes, at, headers);
  at += bytes.write(keyText, at, ascii ? "latin1" : "utf8");
  for (const text of headers ?? []) at += bytes.write(text, at);
  for (const { value } of records) {
    bytes.set(value, at);
    at += value.length;
  }
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeDoubleLE(0, 8);
  bytes.writeUInt32LE(count, 16);
  bytes.writeUInt32LE((ascii ? ASCII_KEYS : 0) | (headers === undefined ? 0 : HAS_HEADERS), 20);
  bytes.writeDoubleLE(maxTimestamp, 24);
  bytes.writeUInt32LE(crc32(bytes.subarray(CHECKED_FROM)), 4);
  return { bytes, count, maxTimestamp };
}

export function setBaseOffset(batch: EncodedBatch, base: Offset): void {
  batch.bytes.writeDoubleLE(base, 8);
}

function joinKeys(records: readonly AppendRecord[]): string {
  let text = "";
  for (const { key } of records) if (key !== undefined) text += key;
  return text;
}

/** JSON of each record's headers, "" for none; undefined when no record has any. */
function headerTexts(records: readonly AppendRecord[]): string[] | undefined {
  let texts: string[] | undefined;
  for (let i = 0; i < records.length; i++) {
    const headers = records[i]!.headers;
    if (headers === undefined || Object.keys(headers).length === 0) continue;
    texts ??= new Array<string>(records.length).fill("");
    texts[i] = JSON.stringify(headers);
  }
  return texts;
}

function writeTimestamps(bytes: Buffer, from: number, records: readonly AppendRecord[]): number {
  let max = Number.NEGATIVE_INFINITY;
  let at = from;
  for (const { timestamp } of records) {
    if (!Number.isFinite(timestamp)) throw new TypeError(`a record's timestamp is ${timestamp}`);
    if (timestamp > max) max = timestamp;
    at = bytes.writeDoubleLE(timestamp, at);
  }
  return max;
}

function writeValueEnds(bytes: Buffer, from: number, records: readonly AppendRecord[]): number {
  let at = from;
  let end = 0;
  for (const { value } of records) {
    end += value.length;
    at = bytes.writeUInt32LE(end, at);
  }
  return at;
}

function writeKeyEnds(bytes: Buffer, from: number, records: readonly AppendRecord[], ascii: boolean): number {
  let at = from;
  let end = 0;
  for (const { key } of records) {
    if (key !== undefined) end += ascii ? key.length : Buffer.byteLength(key);
    at = bytes.writeUInt32LE(end * 2 + (key === undefined ? 1 : 0), at);
  }
  return at;
}

function writeTextEnds(bytes: Buffer, from: number, texts: readonly string[]): number {
  let at = from;
  let end = 0;
  for (const text of texts) {
    end += Buffer.byteLength(text);
    at = bytes.writeUInt32LE(end, at);
  }
  return at;
}

/** A stored batch, checked. Records and times are decoded on demand. */
export class StoredBatch {
  readonly base: Offset;
  readonly count: number;
  readonly maxTimestamp: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #flags: number;
  readonly #where: string;

  /**
   * @param where names the batch in errors
   * @throws SluiceError LOG_CORRUPT when the bytes are not what was written
   */
  constructor(bytes: Uint8Array, where: string) {
    this.#bytes = bytes;
    this.#where = where;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < HEADER_BYTES || this.#view.getUint32(0, true) !== MAGIC)
      throw this.#corrupt("not a batch");
    if (crc32(bytes.subarray(CHECKED_FROM)) !== this.#view.getUint32(4, true))
      throw this.#corrupt("checksum differs");
    this.base = this.#view.getFloat64(8, true);
    this.count = this.#view.getUint32(16, true);
    this.#flags = this.#view.getUint32(20, true);
    this.maxTimestamp = this.#view.getFloat64(24, true);
  }

  get sizeBytes(): number {
    return this.#bytes.length;
  }

  /** The first offset at or after `from` with a time at or after `timestampMs`. */
  offsetAtTime(timestampMs: number, from: Offset): Offset | undefined {
    for (let i = Math.max(0, from - this.base); i < this.count; i++) {
      if (this.#view.getFloat64(HEADER_BYTES + i * 8, true) >= timestampMs) return this.base + i;
    }
    return undefined;
  }

  /** Adds the records with offsets in [from, to) to `out`. Values are views of the batch's own memory. */
  decodeInto(out: LogRecord[], partition: number, from: Offset, to: Offset, names: KeyCache): void {
    const { count } = this;
    const view = this.#view;
    const first = Math.max(0, from - this.base);
    const end = Math.min(count, to - this.base);
    const hasHeaders = (this.#flags & HAS_HEADERS) !== 0;
    const valueEnds = HEADER_BYTES + count * 8;
    const keyEnds = valueEnds + count * 4;
    const headerEnds = keyEnds + count * 4;
    const keysAt = headerEnds + (hasHeaders ? count * 4 : 0);
    const keyLength = view.getUint32(keyEnds + (count - 1) * 4, true) >>> 1;
    const headersAt = keysAt + keyLength;
    const valuesAt = headersAt + (hasHeaders ? view.getUint32(headerEnds + (count - 1) * 4, true) : 0);
    const keys = names.section(this.#bytes, keysAt, headersAt, (this.#flags & ASCII_KEYS) !== 0);
    const { buffer, byteOffset } = this.#bytes;

    let valueFrom = first === 0 ? 0 : view.getUint32(valueEnds + (first - 1) * 4, true);
    let keyFrom = first === 0 ? 0 : view.getUint32(keyEnds + (first - 1) * 4, true) >>> 1;
    for (let i = first; i < end; i++) {
      const valueTo = view.getUint32(valueEnds + i * 4, true);
      const keyMark = view.getUint32(keyEnds + i * 4, true);
      const keyTo = keyMark >>> 1;
      out.push({
        partition,
        offset: this.base + i,
        timestamp: view.getFloat64(HEADER_BYTES + i * 8, true),
        key: (keyMark & 1) === 1 ? null : keys.get(keyFrom, keyTo),
        value: new Uint8Array(buffer, byteOffset + valuesAt + valueFrom, valueTo - valueFrom),
        headers: hasHeaders ? this.#headers(headerEnds, headersAt, i) : NO_HEADERS,
      });
      valueFrom = valueTo;
      keyFrom = keyTo;
    }
  }

  #headers(ends: number, at: number, i: number): Record<string, string> {
    const from = i === 0 ? 0 : this.#view.getUint32(ends + (i - 1) * 4, true);
    const to = this.#view.getUint32(ends + i * 4, true);
    if (from === to) return NO_HEADERS;
    return JSON.parse(utf8(this.#bytes, at + from, at + to)) as Record<string, string>;
  }

  #corrupt(why: string): SluiceError {
    return new SluiceError("LOG_CORRUPT", `the log is damaged: batch ${this.#where}: ${why}`);
  }
}

const KEY_CACHE_LIMIT = 65_536;

/**
 * Hands out one string object per distinct key. Decoding the keys of a batch at once and cutting them apart is
 * fast, but each piece would keep the whole text alive for as long as somebody holds the key.
 */
export class KeyCache {
  readonly #known = new Map<string, string>();

  /** Access to the keys stored in [from, to) of `bytes`; positions count from `from`. */
  section(
    bytes: Uint8Array,
    from: number,
    to: number,
    ascii: boolean,
  ): { get(from: number, to: number): string } {
    if (!ascii) return { get: (start, end) => utf8(bytes, from + start, from + end) };
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("latin1");
    const known = this.#known;
    return {
      get(start, end) {
        const piece = text.slice(start, end);
        const found = known.get(piece);
        if (found !== undefined) return found;
        if (known.size >= KEY_CACHE_LIMIT) known.clear();
        const own = utf8(bytes, from + start, from + end);
        known.set(own, own);
        return own;
      },
    };
  }
}

function utf8(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("utf8");
}
