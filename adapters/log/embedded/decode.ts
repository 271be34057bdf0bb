/**
 * Decodes the stored form of a batch (format.ts).
 */
import { crc32 } from "node:zlib";
import { SluiceError } from "../../../contracts/errors.js";
import type { LogRecord, Offset } from "../../../contracts/ports/log.js";
import {
  ASCII_KEYS,
  BASE_AT,
  CHECKED_FROM,
  COUNT_AT,
  CRC_AT,
  FLAGS_AT,
  HAS_HEADERS,
  HEADER_BYTES,
  MAGIC,
  MAX_TIMESTAMP_AT,
} from "./format.js";

const NO_HEADERS: Record<string, string> = Object.freeze(Object.create(null) as Record<string, string>);

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
    if (crc32(bytes.subarray(CHECKED_FROM)) !== this.#view.getUint32(CRC_AT, true))
      throw this.#corrupt("checksum differs");
    this.base = this.#view.getFloat64(BASE_AT, true);
    this.count = this.#view.getUint32(COUNT_AT, true);
    this.#flags = this.#view.getUint32(FLAGS_AT, true);
    this.maxTimestamp = this.#view.getFloat64(MAX_TIMESTAMP_AT, true);
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
  decodeInto(out: LogRecord[], partition: number, from: Offset, to: Offset, keys: KeyCache): void {
    const { count } = this;
    const view = this.#view;
    const first = Math.max(0, from - this.base);
    const end = Math.min(count, to - this.base);
    if (first >= end) return;
    const hasHeaders = (this.#flags & HAS_HEADERS) !== 0;
    const valueEnds = HEADER_BYTES + count * 8;
    const keyEnds = valueEnds + count * 4;
    const headerEnds = keyEnds + count * 4;
    const keysAt = headerEnds + (hasHeaders ? count * 4 : 0);
    const keyLength = view.getUint32(keyEnds + (count - 1) * 4, true) >>> 1;
    const headersAt = keysAt + keyLength;
    const valuesAt = headersAt + (hasHeaders ? view.getUint32(headerEnds + (count - 1) * 4, true) : 0);
    const bytes = this.#bytes;
    const { buffer, byteOffset } = bytes;
    const ascii = (this.#flags & ASCII_KEYS) !== 0;

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
        key: (keyMark & 1) === 1 ? null : keys.get(bytes, keysAt + keyFrom, keysAt + keyTo, ascii),
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

const KEY_SLOTS = 65_536;
const LONGEST_CACHED_KEY = 64;

/**
 * Decodes keys, and hands out one string object for a key that comes again and again. Bounded: a slot keeps the
 * last key that hashed to it.
 *
 * Cutting the keys of a batch out of one decoded text would be as fast, but each piece would keep the whole text
 * alive for as long as somebody holds the key.
 */
export class KeyCache {
  readonly #keys: (string | undefined)[] = new Array<string | undefined>(KEY_SLOTS).fill(undefined);

  get(bytes: Uint8Array, from: number, to: number, ascii: boolean): string {
    if (!ascii || to - from > LONGEST_CACHED_KEY) return utf8(bytes, from, to);
    let hash = to - from;
    for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
    const slot = (hash ^ (hash >>> 15)) & (KEY_SLOTS - 1);
    const kept = this.#keys[slot];
    if (kept !== undefined && isText(kept, bytes, from, to)) return kept;
    const key = utf8(bytes, from, to);
    this.#keys[slot] = key;
    return key;
  }
}

function isText(text: string, bytes: Uint8Array, from: number, to: number): boolean {
  const length = to - from;
  if (text.length !== length) return false;
  for (let i = 0; i < length; i++) {
    if (text.charCodeAt(i) !== bytes[from + i]) return false;
  }
  return true;
}

function utf8(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("utf8");
}
