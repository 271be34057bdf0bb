/**
 * How much room the disk of the data folder has, and when that is too little to go on.
 */
import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";

const GIB = 1024 ** 3;
/** Kept free: 2 % of the disk, at most 1 GiB. Below, the next retention run may come too late. */
const RESERVE_SHARE = 0.02;
const MAX_RESERVE_BYTES = GIB;

export interface DiskSpace {
  /** Available to this user. */
  freeBytes: number;
  totalBytes: number;
}

/** Of the disk that holds `dir`, or would once it is made. @throws Error of the file system */
export async function diskSpace(dir: string): Promise<DiskSpace> {
  const { bavail, blocks, bsize } = await statfs(nearestFolder(dir));
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}

/** `dir`, or the closest folder above it that exists. */
export function nearestFolder(dir: string): string {
  let folder = resolve(dir);
  while (!existsSync(folder)) folder = dirname(folder);
  return folder;
}

/** Why the disk counts as full, or undefined while it does not. */
export function diskFull({ freeBytes, totalBytes }: DiskSpace): string | undefined {
  const reserveBytes = Math.min(MAX_RESERVE_BYTES, totalBytes * RESERVE_SHARE);
  if (freeBytes >= reserveBytes) return undefined;
  return `almost full: ${sizeText(freeBytes)} free of ${sizeText(totalBytes)}, less than the ${sizeText(reserveBytes)} to keep`;
}

export function sizeText(bytes: number): string {
  return bytes >= GIB ? `${(bytes / GIB).toFixed(1)} GiB` : `${Math.round(bytes / 1024 ** 2)} MiB`;
}
