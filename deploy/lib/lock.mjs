/**
 * An exclusive lock between processes. It is a kernel lock (flock) held by a helper whose life hangs on a pipe from
 * this process, so a crash of the holder releases it and no stale lock can remain.
 */
import { spawn } from "node:child_process";
import { DeployError } from "./errors.mjs";

/**
 * Runs `body` while holding the lock on `file`.
 * @template T
 * @param {string} file created if absent, never removed
 * @param {() => Promise<T>} body
 * @param {() => void} [onWait] called once when another process holds the lock
 * @returns {Promise<T>}
 */
export async function withLock(file, body, onWait) {
  const holder = await acquire(file, onWait);
  try {
    return await body();
  } finally {
    holder.stdin.end();
    await new Promise((resolve) => holder.once("close", resolve));
  }
}

/**
 * @param {string} file
 * @param {(() => void) | undefined} onWait
 * @returns {Promise<import('node:child_process').ChildProcessByStdio<import('node:stream').Writable, import('node:stream').Readable, null>>}
 */
function acquire(file, onWait) {
  return new Promise((resolve, reject) => {
    const holder = spawn("flock", ["--exclusive", file, "sh", "-c", "echo locked; exec cat >/dev/null"], {
      stdio: ["pipe", "pipe", "inherit"],
      // Its own process group: Ctrl-C must not release the lock while this process still cleans up.
      detached: true,
    });
    const waiting = onWait && setTimeout(onWait, 500);
    const settle = () => waiting && clearTimeout(waiting);
    holder.once("error", (error) => {
      settle();
      reject(new DeployError(`cannot lock ${file}: ${error.message} (flock comes with util-linux)`));
    });
    holder.once("exit", (code) => {
      settle();
      reject(new DeployError(`cannot lock ${file}: flock exited with ${code}`));
    });
    holder.stdout.once("data", () => {
      settle();
      resolve(holder);
    });
  });
}
