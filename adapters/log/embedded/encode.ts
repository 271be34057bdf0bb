/**
 * Encodes records into the stored form of a batch (format.ts).
 */
import { crc32 } from "node:zlib";
import type { AppendRecord, Offset } from "../../../contracts/ports/log.js";
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

export interface EncodedBatch {
  bytes: Buffer;
  count: number;
  maxTimestamp: number;
}

const FIXED_BYTES = 20;

/** About what a record adds to a batch (text counted in characters). */
export function recordBytes({ value, key, headers }: AppendRecord): number {
  let bytes = FIXED_BYTES + value.length;
  if (key !== undefined) bytes += key.length;
  if (headers !== undefined) for (const name in headers) bytes += name.length + headers[name]!.length;
  return bytes;
}

/** The batch without its base offset, which {@link setBaseOffset} fills in inside the write transaction. */
export function encodeBatch(records: readonly AppendRecord[], memory: BatchMemory): EncodedBatch {
  const count = records.length;
  let keyText = "";
  let valueBytes = 0;
  for (const { key, value } of records) {
    valueBytes += value.length;
    if (key !== undefined) keyText += key;
  }
  const headers = headerTexts(records);
  const keyBytes = Buffer.byteLength(keyText);
  const ascii = keyBytes === keyText.length;
  const headerBytes =
    headers === undefined ? 0 : headers.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const columnBytes = count * (headers === undefined ? 16 : 20);
  const bytes = memory.take(HEADER_BYTES + columnBytes + keyBytes + headerBytes + valueBytes);

  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const maxTimestamp = writeColumns(view, records, ascii);
  let at = HEADER_BYTES + count * 16;
  if (headers !== undefined) at = writeTextEnds(view, at, headers);
  at += bytes.write(keyText, at, ascii ? "latin1" : "utf8");
  for (const text of headers ?? []) at += bytes.write(text, at);
  for (const { value } of records) {
    bytes.set(value, at);
    at += value.length;
  }
  view.setUint32(0, MAGIC, true);
  view.setFloat64(BASE_AT, 0, true);
  view.setUint32(COUNT_AT, count, true);
  view.setUint32(FLAGS_AT, (ascii ? ASCII_KEYS : 0) | (headers === undefined ? 0 : HAS_HEADERS), true);
  view.setFloat64(MAX_TIMESTAMP_AT, maxTimestamp, true);
  view.setUint32(CRC_AT, crc32(bytes.subarray(CHECKED_FROM)), true);
  return { bytes, count, maxTimestamp };
}

export function setBaseOffset(batch: EncodedBatch, base: Offset): void {
  batch.bytes.writeDoubleLE(base, BASE_AT);
}

/** Timestamps, value ends and key ends. Returns the largest timestamp. */
function writeColumns(view: DataView, records: readonly AppendRecord[], ascii: boolean): number {
  const count = records.length;
  let timestampAt = HEADER_BYTES;
  let valueEndAt = HEADER_BYTES + count * 8;
  let keyEndAt = valueEndAt + count * 4;
  let valueEnd = 0;
  let keyEnd = 0;
  let max = Number.NEGATIVE_INFINITY;
  for (const { key, value, timestamp } of records) {
    if (timestamp > max) max = timestamp;
    valueEnd += value.length;
    if (key !== undefined) keyEnd += ascii ? key.length : Buffer.byteLength(key);
    view.setFloat64(timestampAt, timestamp, true);
    view.setUint32(valueEndAt, valueEnd, true);
    view.setUint32(keyEndAt, keyEnd * 2 + (key === undefined ? 1 : 0), true);
    timestampAt += 8;
    valueEndAt += 4;
    keyEndAt += 4;
  }
  return max;
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

function writeTextEnds(view: DataView, from: number, texts: readonly string[]): number {
  let at = from;
  let end = 0;
  for (const text of texts) {
    end += Buffer.byteLength(text);
    view.setUint32(at, end, true);
    at += 4;
  }
  return at;
}

const KEPT_BUFFERS = 8;
const ROUND_BYTES = 64 * 1024;

/** Memory for encoded batches, used again: LMDB has copied a batch when its commit is done. */
export class BatchMemory {
  readonly #free: Buffer[] = [];

  take(sizeBytes: number): Buffer {
    const fits = this.#free.findIndex((buffer) => buffer.length >= sizeBytes);
    const whole =
      fits >= 0
        ? this.#free.splice(fits, 1)[0]!
        : Buffer.allocUnsafeSlow(Math.ceil(sizeBytes / ROUND_BYTES) * ROUND_BYTES);
    return whole.subarray(0, sizeBytes);
  }

  /** The batch may be overwritten from now on. */
  giveBack({ bytes }: EncodedBatch): void {
    if (this.#free.length < KEPT_BUFFERS) this.#free.push(Buffer.from(bytes.buffer));
  }
}
