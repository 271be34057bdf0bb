/**
 * The right of one live subscriber per (group, topic), over all processes that share a log directory.
 *
 * A row names the owner by pid and process start time, so that a pid used again is not taken for it. A dead
 * owner's lease is taken over at once; there is nothing to expire.
 */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { SluiceError } from "../../../contracts/errors.js";
import type { LeaseRow, Storage } from "./storage.js";

const START_TIME_FIELD = 22;

/**
 * Takes the lease; the result gives it back.
 * @throws SluiceError STATE_LOCKED when its owner lives
 */
export async function acquireLease(
  storage: Storage,
  group: string,
  topic: string,
): Promise<() => Promise<void>> {
  const token = randomUUID();
  const mine: LeaseRow = { pid: process.pid, startedAt: startTime(process.pid), token };
  await storage.write("cannot join the group", () => {
    const owner = storage.leases.get([group, topic]);
    if (owner !== undefined && isAlive(owner)) {
      throw new SluiceError(
        "STATE_LOCKED",
        `group ${group} already has a subscriber of ${topic}: process ${owner.pid}`,
      );
    }
    storage.leases.putSync([group, topic], mine);
  });
  return () =>
    storage.write("cannot leave the group", () => {
      if (storage.leases.get([group, topic])?.token === token) storage.leases.removeSync([group, topic]);
    });
}

function isAlive(owner: LeaseRow): boolean {
  if (owner.startedAt !== null) return startTime(owner.pid) === owner.startedAt;
  try {
    process.kill(owner.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** When the process started, in the system's own unit; null when it is dead, or the system has no /proc. */
function startTime(pid: number): string | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return null;
  }
  // The second field is the command in parentheses and may hold anything, so count from its end. A zombie is dead.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? null : (fields[START_TIME_FIELD - 3] ?? null);
}
