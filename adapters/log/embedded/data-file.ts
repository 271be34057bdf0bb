/**
 * Checks LMDB's data file before it is opened, so that damage is an error and not the end of the process.
 *
 * - A file whose two meta pages are not LMDB's makes lmdb-js crash: it is refused here, as LOG_CORRUPT.
 * - LMDB maps its file into memory; touching a mapped page behind the end of the file is SIGBUS, which no handler
 *   catches. A file may be shorter than its meta page says for a good reason (its last pages are free and were
 *   never written), or because somebody truncated it. The two cannot be told apart here, so the missing tail is
 *   filled with zeros: free pages are never read, and a lost page that reads as zeros is found by LMDB or by the
 *   batch's checksum, and becomes LOG_CORRUPT where it is read.
 */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { SluiceError } from "../../../contracts/errors.js";

/** Layout of LMDB's meta pages (data version 2 of lmdb-js): two of them, the newer transaction counts. */
const META_FLAG = 0x08;
const FLAGS_AT = 18;
const MAGIC = 0xbeefc0de;
const MAGIC_AT = 24;
const VERSION = 2;
const VERSION_AT = 28;
const PAGE_SIZE_AT = 48;
const LAST_PAGE_AT = 144;
const TRANSACTION_AT = 152;
const META_BYTES = 160;
const CHUNK_BYTES = 1024 * 1024;

/**
 * Refuses what is not LMDB's, and adds a missing tail. Returns how many bytes were missing; 0 for a sound file, and
 * for a missing or empty one, which LMDB initialises.
 * @throws SluiceError LOG_CORRUPT
 */
export function prepareDataFile(path: string): number {
  let file: number;
  try {
    // Appending is safe beside a live writer: it never lands on bytes that are there already.
    file = openSync(path, constants.O_RDWR | constants.O_APPEND);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
  try {
    if (fstatSync(file).size === 0) return 0;
    const first = readMeta(file, 0);
    const second = first && readMeta(file, first.pageBytes);
    if (second === undefined)
      throw new SluiceError("LOG_CORRUPT", `${path} is not a log, or its start is damaged`);
    const newer = second.transaction > first!.transaction ? second : first!;
    const missing = Number(newer.lastPage + 1n) * newer.pageBytes - fstatSync(file).size;
    for (let left = missing; left > 0; left -= CHUNK_BYTES) {
      writeSync(file, Buffer.alloc(Math.min(left, CHUNK_BYTES)));
    }
    return Math.max(0, missing);
  } finally {
    closeSync(file);
  }
}

interface Meta {
  pageBytes: number;
  lastPage: bigint;
  transaction: bigint;
}

function readMeta(file: number, at: number): Meta | undefined {
  const meta = Buffer.alloc(META_BYTES);
  if (readSync(file, meta, 0, META_BYTES, at) < META_BYTES) return undefined;
  if ((meta.readUInt16LE(FLAGS_AT) & META_FLAG) === 0) return undefined;
  if (meta.readUInt32LE(MAGIC_AT) !== MAGIC || meta.readUInt32LE(VERSION_AT) !== VERSION) return undefined;
  return {
    pageBytes: meta.readUInt32LE(PAGE_SIZE_AT),
    lastPage: meta.readBigUInt64LE(LAST_PAGE_AT),
    transaction: meta.readBigUInt64LE(TRANSACTION_AT),
  };
}
