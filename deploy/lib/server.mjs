/**
 * The life of one server folder: `server.json` describes it, a lock in it keeps two commands apart, and a temporary
 * folder goes away with its server. What `up` could not finish it takes back.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, open, readdir, readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { progress } from "./cli.mjs";
import { DeployError } from "./errors.mjs";
import { withLock } from "./lock.mjs";
import { logFile, processNames, runningPid, stopAll } from "./process.mjs";

/**
 * @typedef {{server: string, version: string, dir: string, temporary: boolean, running: boolean, pids: number[],
 *   [key: string]: any}} ServerState
 */

/**
 * Where the data is deleted anyway, a clean end is not worth a long wait: the last nodes of a Kafka cluster have no
 * quorum left to sign off with.
 */
const throwawayGraceMs = 3000;

const stateFile = (/** @type {string} */ dir) => join(dir, "server.json");
const lockFile = (/** @type {string} */ dir) => join(dir, "lock");

/** @param {string} dir @returns {Promise<ServerState | undefined>} */
export async function readState(dir) {
  if (!existsSync(stateFile(dir))) return undefined;
  return JSON.parse(await readFile(stateFile(dir), "utf8"));
}

/** Whole or not at all, and readable by its owner only, for it may hold a token. @param {ServerState} state */
export async function writeState(state) {
  const partial = `${stateFile(state.dir)}.partial`;
  await writeFile(partial, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  await rename(partial, stateFile(state.dir));
}

/**
 * Starts a server in its folder, new or kept from an earlier run.
 * @param {{server: string, version: string, dir?: string}} spec without `dir`: a temporary folder
 * @param {(dir: string, previous: ServerState | undefined) => Promise<Record<string, any>>} start returns once the
 *   server is ready, with what is to be kept in `server.json`
 * @returns {Promise<ServerState>}
 */
export async function bringUp({ server, version, dir: wanted }, start) {
  const dir = await prepareDir(server, wanted);
  return withLock(lockFile(dir), async () => {
    const previous = await readState(dir);
    await refuseUnlessIdle(dir, server, previous);
    const base = { server, version, dir, temporary: wanted === undefined };
    // Written first, so that `down` can end what a killed `up` had started.
    if (!previous) await writeState({ ...base, running: false, pids: [], incomplete: true });
    const interrupt = onInterrupt(() => abandon(dir, previous, base.temporary));
    try {
      const details = await start(dir, previous);
      const state = { ...base, running: true, pids: await pids(dir), ...details };
      await writeState(state);
      return state;
    } catch (error) {
      await printLogTails(dir);
      await abandon(dir, previous, base.temporary);
      throw error;
    } finally {
      interrupt.ignore();
    }
  });
}

/**
 * Stops what was started, and leaves a folder that was new as it was found.
 * @param {string} dir @param {ServerState | undefined} previous @param {boolean} temporary
 */
async function abandon(dir, previous, temporary) {
  await stopAll(dir, previous ? undefined : throwawayGraceMs);
  if (temporary) await rm(dir, { recursive: true, force: true });
  else if (!previous) {
    const made = (await readdir(dir)).filter((name) => name !== "lock");
    await Promise.all(made.map((name) => rm(join(dir, name), { recursive: true, force: true })));
  }
}

/** @param {string} server @param {string | undefined} wanted */
async function prepareDir(server, wanted) {
  if (wanted === undefined) return realpath(await mkdtemp(join(tmpdir(), `sluice-${server}-`)));
  await mkdir(wanted, { recursive: true, mode: 0o700 });
  const dir = await realpath(wanted);
  if (!(await readState(dir)) && (await readdir(dir)).some((name) => name !== "lock")) {
    throw new DeployError(`${dir} is not empty and holds no server.json: give an empty or new folder`);
  }
  return dir;
}

/** @param {string} dir @param {string} server @param {ServerState | undefined} previous */
async function refuseUnlessIdle(dir, server, previous) {
  if (previous && previous.server !== server) throw new DeployError(`${dir} belongs to ${previous.server}`);
  if (previous?.incomplete)
    throw new DeployError(`an earlier start in ${dir} was cut off: run down, then remove it`);
  const running = await pids(dir);
  if (running.length > 0) throw new DeployError(`already running in ${dir}: pid ${running.join(", ")}`);
}

/** @param {() => Promise<void>} cleanUp */
function onInterrupt(cleanUp) {
  const handle = (/** @type {NodeJS.Signals} */ name) => {
    progress(`${name}: stopping what was started`);
    cleanUp().finally(() => process.exit(1));
  };
  process.once("SIGINT", handle).once("SIGTERM", handle);
  return { ignore: () => process.off("SIGINT", handle).off("SIGTERM", handle) };
}

/** @param {string} dir @returns {Promise<number[]>} */
export async function pids(dir) {
  const found = await Promise.all((await processNames(dir)).map((name) => runningPid(dir, name)));
  return found.filter((pid) => pid !== undefined);
}

/**
 * Runs `body` on an existing server folder, under its lock.
 * @param {string} server
 * @param {string} wanted
 * @param {(state: ServerState) => Promise<void>} body
 */
export async function withServer(server, wanted, body) {
  if (!existsSync(stateFile(wanted))) throw new DeployError(`${wanted} holds no server.json`);
  const dir = await realpath(wanted);
  await withLock(lockFile(dir), async () => {
    const state = await readState(dir);
    if (!state) throw new DeployError(`the server of ${dir} is gone`);
    if (state.server !== server) throw new DeployError(`${dir} belongs to ${state.server}, not ${server}`);
    await body({ ...state, dir });
  });
}

/**
 * Stops every process of a folder, then removes the folder if `up` had made it; one given with --dir keeps its data.
 * @param {string} server
 * @param {string} wanted
 */
export function bringDown(server, wanted) {
  return withServer(server, wanted, async (state) => {
    await stopAll(state.dir, state.temporary ? throwawayGraceMs : undefined);
    if (state.temporary) await rm(state.dir, { recursive: true, force: true });
    else await writeState({ ...state, running: false, pids: [] });
  });
}

/** Shows the last lines of each log of the folder. @param {string} dir */
async function printLogTails(dir) {
  for (const name of await processNames(dir)) {
    progress(`--- last lines of ${logFile(dir, name)}\n${await tail(logFile(dir, name))}\n---`);
  }
}

/** @param {string} path */
async function tail(path) {
  const lengthBytes = 6000;
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - lengthBytes);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(lengthBytes), 0, lengthBytes, start);
    return buffer.toString("utf8", 0, bytesRead).split("\n").slice(-40).join("\n").trimEnd();
  } finally {
    await file.close();
  }
}

/**
 * Prints the result of `up`: the whole state as JSON, or the few lines a person needs.
 * @param {ServerState} state
 * @param {boolean} json
 * @param {string[]} lines
 */
export function printState(state, json, lines) {
  if (json) process.stdout.write(`${JSON.stringify(state)}\n`);
  else process.stdout.write(`${lines.join("\n")}\n`);
}
