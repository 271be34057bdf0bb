/**
 * Servers as detached processes, each known by a pid file. Nothing is ever signalled by name: a pid counts as ours only
 * while its command line mentions the server's folder, so a pid the system has given to another program is left alone.
 */
import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DeployError } from "./errors.mjs";
import { waitFor } from "./wait.mjs";

const defaultGraceMs = 15_000;
const killGraceMs = 10_000;

/** @param {string} dir @param {string} name */
export const logFile = (dir, name) => join(dir, `${name}.log`);
/** @param {string} dir @param {string} name */
const pidFile = (dir, name) => join(dir, `${name}.pid`);

/**
 * Starts a process that outlives this one. Its output is appended to `DIR/NAME.log`, its pid kept in `DIR/NAME.pid`.
 * One of `args` must contain `dir`: that is how it is recognised later.
 * @param {{dir: string, name: string, command: string, args: string[], env?: NodeJS.ProcessEnv}} spec
 * @returns {Promise<number>} the pid
 */
export async function startProcess({ dir, name, command, args, env }) {
  const log = await open(
    logFile(dir, name),
    constants.O_APPEND | constants.O_CREAT | constants.O_WRONLY,
    0o600,
  );
  try {
    const child = spawn(command, args, { cwd: dir, env, detached: true, stdio: ["ignore", log.fd, log.fd] });
    const pid = await new Promise((resolve, reject) => {
      child.once("spawn", () => resolve(/** @type {number} */ (child.pid)));
      child.once("error", (error) => reject(new DeployError(`cannot run ${command}: ${error.message}`)));
    });
    child.unref();
    await writeFile(pidFile(dir, name), `${pid}\n`);
    return pid;
  } finally {
    await log.close();
  }
}

/**
 * @param {string} dir
 * @param {string} name
 * @returns {Promise<number | undefined>} the pid if that process runs and is ours
 */
export async function runningPid(dir, name) {
  const text = await readOrUndefined(pidFile(dir, name));
  const pid = Number(text);
  return text && Number.isInteger(pid) && (await isOurs(pid, dir)) ? pid : undefined;
}

/**
 * A process that has ended but was not reaped has an empty command line, and counts as gone.
 * @param {number} pid
 * @param {string} dir
 */
async function isOurs(pid, dir) {
  const commandLine = (await readOrUndefined(`/proc/${pid}/cmdline`)) ?? "";
  return commandLine.split("\0").some((arg) => arg.includes(`${dir}/`));
}

/** @param {string} path */
async function readOrUndefined(path) {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const code = /** @type {NodeJS.ErrnoException} */ (error).code;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}

/**
 * Ends a process: SIGTERM, and SIGKILL if it is still there after the grace (0: SIGKILL at once).
 * @param {string} dir
 * @param {string} name
 * @param {number} [graceMs]
 * @returns {Promise<'stopped' | 'killed' | 'not running'>}
 */
export async function stopProcess(dir, name, graceMs = defaultGraceMs) {
  const pid = await runningPid(dir, name);
  let outcome = /** @type {'stopped' | 'killed' | 'not running'} */ ("not running");
  if (pid !== undefined) {
    outcome = "stopped";
    const gone = async () => !(await isOurs(pid, dir));
    if (graceMs > 0) signal(pid, "SIGTERM");
    if (graceMs === 0 || !(await waitFor(gone, graceMs))) {
      outcome = "killed";
      signal(pid, "SIGKILL");
      if (!(await waitFor(gone, killGraceMs))) throw new DeployError(`process ${pid} (${name}) does not end`);
    }
  }
  await rm(pidFile(dir, name), { force: true });
  return outcome;
}

/** @param {number} pid @param {NodeJS.Signals} name */
function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== "ESRCH") throw error;
  }
}

/** @param {string} dir @returns {Promise<string[]>} names of the processes that have a pid file in `dir` */
export async function processNames(dir) {
  return (await readdir(dir)).filter((file) => file.endsWith(".pid")).map((file) => file.slice(0, -4));
}

/**
 * Stops every process of the folder.
 * @param {string} dir
 * @param {number} [graceMs]
 */
export async function stopAll(dir, graceMs) {
  await Promise.all((await processNames(dir)).map((name) => stopProcess(dir, name, graceMs)));
}

/**
 * Waits until `ready` answers true; fails as soon as the process ends.
 * @param {{dir: string, name: string, limitMs: number}} server
 * @param {() => Promise<boolean>} ready a throw counts as "not yet", and the last one is reported
 */
export async function waitUntilReady({ dir, name, limitMs }, ready) {
  let reason = "no answer";
  const done = await waitFor(async () => {
    if ((await runningPid(dir, name)) === undefined) {
      throw new DeployError(`${name} ended while starting`);
    }
    try {
      return await ready();
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
      return false;
    }
  }, limitMs);
  if (!done) throw new DeployError(`${name} was not ready within ${limitMs / 1000} s: ${reason}`);
}
