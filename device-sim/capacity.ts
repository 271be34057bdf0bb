/**
 * How many connections this process may have: open files, and ports of one source address.
 */
import { readFileSync } from "node:fs";
import { SluiceError } from "../contracts/errors.js";

/** Files a process has open besides its devices: log segments, ledger, standard streams, the event loop's own. */
const OTHER_FILES = 64;
/**
 * Linux gives a source address 28,232 ports (32768 to 60999), tries every other one of them first, and searches ever
 * longer once those are taken.
 */
export const DEVICES_PER_ADDRESS = 10_000;

/** @throws SluiceError CONFIG_INVALID when the operating system will not let so many devices connect */
export function checkOpenFiles(devices: number, limit = openFileLimit()): void {
  if (devices + OTHER_FILES <= limit) return;
  throw new SluiceError(
    "CONFIG_INVALID",
    `${devices} devices need ${devices + OTHER_FILES} open files, but this process may have ${limit}. ` +
      `Raise the hard limit (ulimit -Hn ${devices + OTHER_FILES} as root, LimitNOFILE= in a systemd unit; ` +
      "the gateway needs as many), or share the devices among several simulators",
  );
}

/** Node raises its own soft limit to the hard one when it starts, so what the kernel says is what there is. */
function openFileLimit(): number {
  try {
    const found = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
    return found ? Number(found[1]) : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY; // not Linux: the system will tell
  }
}

/**
 * The local address of a device. Every address of 127.0.0.0/8 reaches a loopback listener and brings ports of its own;
 * elsewhere the system chooses.
 */
export function sourceAddress(url: string, device: number): string | undefined {
  const group = Math.floor(device / DEVICES_PER_ADDRESS);
  return group > 0 && /^127\./.test(new URL(url).hostname) ? `127.0.0.${1 + group}` : undefined;
}
