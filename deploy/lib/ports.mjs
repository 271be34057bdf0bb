/** Free TCP ports on the loopback interface. */
import { randomInt } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { DeployError } from "./errors.mjs";

const lowestPort = 15_000;

/**
 * Picks from below the ephemeral range: a port from inside it could be taken by any outgoing connection while the
 * server that owns it is down for a restart.
 * @returns {Promise<number>} a port nobody listens on at this moment
 */
async function freePort() {
  const end = await ephemeralRangeStart();
  for (let tries = 0; tries < 1000; tries++) {
    const port = randomInt(lowestPort, end);
    if (await isFree(port)) return port;
  }
  throw new DeployError(`no free port between ${lowestPort} and ${end}`);
}

/**
 * The port asked for, else the one of an earlier run, else a free one.
 * @param {number | undefined} wanted
 * @param {number | undefined} previous
 * @returns {Promise<number>}
 */
export async function choosePort(wanted, previous) {
  const port = wanted ?? previous ?? (await freePort());
  if (!(await isFree(port))) throw new DeployError(`port ${port} is in use`);
  return port;
}

/** @returns {Promise<number>} */
async function ephemeralRangeStart() {
  try {
    const start = Number((await readFile("/proc/sys/net/ipv4/ip_local_port_range", "utf8")).split(/\s+/)[0]);
    return start > lowestPort + 1000 ? start : 65_536;
  } catch {
    return 32_768; // not Linux: the common default
  }
}

/**
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function isFree(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
