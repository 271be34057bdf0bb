/**
 * Looks at an LMDB file before LMDB does: opening a file with damaged meta pages ends the process, and so does
 * touching a page beyond the end of a file that was cut off.
 *
 * LMDB has no checksums, so damage inside a page that keeps its form is not found here.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { endianness } from "node:os";

const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const META_PAGE_FLAG = 0x08;
/** Where a meta page holds its flags, magic number, version and (in the first one) the page size. */
const AT = { flags: 18, magic: 24, version: 28, pageSize: 48 };
const META_BYTES = 56;

/** What is wrong with the meta pages of `file`; undefined when nothing is, or when the file does not exist yet. */
export function findDamage(file: string): string | undefined {
  const fd = openIfPresent(file);
  if (fd === undefined) return undefined;
  try {
    const { size } = fstatSync(fd);
    if (size === 0) return undefined;
    const first = readMeta(fd, 0);
    if (!isMeta(first)) return "its first meta page is not LMDB's";
    const pageSize = uint32(first, AT.pageSize);
    if (size < 2 * pageSize) return `it ends after ${size} bytes, within its meta pages`;
    return isMeta(readMeta(fd, pageSize)) ? undefined : "its second meta page is not LMDB's";
  } finally {
    closeSync(fd);
  }
}

/**
 * Brings a file that was cut off back to its length, with zeros, which LMDB reports as damage when it reads them.
 * A shorter file can also be whole: LMDB does not write free pages at the end. Needs LMDB's writer lock.
 */
export function fillToLength(file: string, sizeBytes: number): void {
  const fd = openSync(file, "r+");
  try {
    if (fstatSync(fd).size < sizeBytes) writeSync(fd, Buffer.alloc(1), 0, 1, sizeBytes - 1);
  } finally {
    closeSync(fd);
  }
}

function openIfPresent(file: string): number | undefined {
  try {
    return openSync(file, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function readMeta(fd: number, position: number): Buffer {
  const meta = Buffer.alloc(META_BYTES);
  readSync(fd, meta, 0, META_BYTES, position);
  return meta;
}

function isMeta(page: Buffer): boolean {
  const flags = endianness() === "LE" ? page.readUInt16LE(AT.flags) : page.readUInt16BE(AT.flags);
  const version = uint32(page, AT.version) & 0xffff;
  return (flags & META_PAGE_FLAG) !== 0 && uint32(page, AT.magic) === MAGIC && version === DATA_VERSION;
}

/** LMDB files have the byte order of the host. */
function uint32(page: Buffer, at: number): number {
  return endianness() === "LE" ? page.readUInt32LE(at) : page.readUInt32BE(at);
}
