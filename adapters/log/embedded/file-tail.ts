/**
 * Keeps a data file that was cut short from ending the process.
 *
 * LMDB maps its file into memory; touching a mapped page behind the end of the file is SIGBUS, which no handler
 * catches. A file may be shorter than its meta page says for a good reason (its last pages are free and were never
 * written), or because somebody truncated it. The two cannot be told apart here, so the missing tail is filled
 * with zeros: free pages are never read, and a lost page that reads as zeros is found by LMDB or by the batch's
 * checksum, and becomes LOG_CORRUPT where it is read.
 */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from "node:fs";

/** Layout of LMDB's meta pages (data version 2 of lmdb-js): two of them, the newer transaction counts. */
const MAGIC = 0xbeefc0de;
const MAGIC_AT = 24;
const PAGE_SIZE_AT = 48;
const LAST_PAGE_AT = 144;
const TRANSACTION_AT = 152;
const META_BYTES = 160;
const CHUNK_BYTES = 1024 * 1024;

/** Adds the missing tail. Returns how many bytes were missing; 0 for a sound or missing file. */
export function fillMissingTail(path: string): number {
  let file: number;
  try {
    // Appending is safe beside a live writer: it never lands on bytes that are there already.
    file = openSync(path, constants.O_RDWR | constants.O_APPEND);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
  try {
    const missing = expectedBytes(file) - fstatSync(file).size;
    for (let left = missing; left > 0; left -= CHUNK_BYTES) {
      writeSync(file, Buffer.alloc(Math.min(left, CHUNK_BYTES)));
    }
    return Math.max(0, missing);
  } finally {
    closeSync(file);
  }
}

/** The size that the newer meta page asks for; 0 when there is none, which LMDB itself then reports. */
function expectedBytes(file: number): number {
  const first = readMeta(file, 0);
  if (first === undefined) return 0;
  const second = readMeta(file, first.pageBytes);
  const newer = second !== undefined && second.transaction > first.transaction ? second : first;
  return Number(newer.lastPage + 1n) * first.pageBytes;
}

function readMeta(
  file: number,
  at: number,
): { pageBytes: number; lastPage: bigint; transaction: bigint } | undefined {
  const meta = Buffer.alloc(META_BYTES);
  if (readSync(file, meta, 0, META_BYTES, at) < META_BYTES) return undefined;
  if (meta.readUInt32LE(MAGIC_AT) !== MAGIC) return undefined;
  return {
    pageBytes: meta.readUInt32LE(PAGE_SIZE_AT),
    lastPage: meta.readBigUInt64LE(LAST_PAGE_AT),
    transaction: meta.readBigUInt64LE(TRANSACTION_AT),
  };
}
