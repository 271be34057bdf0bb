/**
 * Starts and stops the servers that the ingest bench compares: Sluice as its users start it, and a plain Mosquitto.
 *
 * Guarantee: a server gets its own temporary folder and free loopback ports, and both are gone after `stop`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openEmbeddedLog } from "../../adapters/log/embedded/index.js";
import { TOPICS } from "../../contracts/topics.js";
import { systemClock } from "../../runtime/clock.js";
import { createLogger } from "../../runtime/logger.js";

/** The compiled command, beside the compiled bench. */
const SLUICE = fileURLToPath(new URL("../../cli/main.js", import.meta.url));
const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 30_000;

export interface Server {
  pid: number;
  port: number;
  /** Ends the process; resolves with the number of readings in its log, where it has one. */
  stop(): Promise<number | undefined>;
}

/** @param command `gateway` (ingest alone) or `up` (with processors and store) */
export async function startSluice(command: "gateway" | "up"): Promise<Server> {
  const dir = await mkdtemp(join(tmpdir(), "sluice-bench-"));
  const args = [command, "--mqtt-port", "0", "--http-port", "0", "--data-dir", dir, "--log-level", "warn"];
  // Run from an empty folder and without SLUICE_ variables, so that no configuration of the user takes part.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("SLUICE_")));
  const child = spawn(process.execPath, [SLUICE, ...args], {
    ...{ cwd: dir, env, stdio: ["ignore", "pipe", "inherit"] },
  });
  const stop = async () => {
    await end(child);
    const stored = await storedReadings(dir);
    await rm(dir, { recursive: true, force: true });
    return stored;
  };
  try {
    return { pid: child.pid!, port: await announcedPort(child), stop };
  } catch (error) {
    await end(child);
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
}

/** @returns the path of the mosquitto program, or undefined when there is none */
export function findMosquitto(): string | undefined {
  const folders = ["/usr/sbin", "/usr/local/sbin", ...(process.env.PATH ?? "").split(delimiter)];
  return folders
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, "mosquitto"))
    .find(isExecutable);
}

/** Mosquitto at its fastest: nothing on disk, no limits on what is in flight or queued, no log. */
export async function startMosquitto(program: string): Promise<Server> {
  const dir = await mkdtemp(join(tmpdir(), "sluice-bench-mosquitto-"));
  // Started by root, Mosquitto goes on as a user of its own, who must be able to get at its configuration.
  await chmod(dir, 0o755);
  const port = await freePort();
  const config = [
    `listener ${port} 127.0.0.1`,
    "allow_anonymous true",
    "persistence false",
    "max_inflight_messages 0",
    "max_queued_messages 0",
    "set_tcp_nodelay true",
    "log_dest none",
  ];
  await writeFile(join(dir, "mosquitto.conf"), `${config.join("\n")}\n`);
  const child = spawn(program, ["-c", join(dir, "mosquitto.conf")], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const stop = async () => {
    await end(child);
    await rm(dir, { recursive: true, force: true });
    return undefined;
  };
  try {
    await accepting(child, port);
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: child.pid!, port, stop };
}

/** Readings that are in the log of a stopped gateway. */
async function storedReadings(dir: string): Promise<number> {
  const log = await openEmbeddedLog({
    dir: join(dir, "log"),
    clock: systemClock,
    logger: createLogger("warn"),
  });
  try {
    const ranges = await log.ranges(TOPICS.readings);
    return ranges.reduce((sum, { earliest, next }) => sum + next - earliest, 0);
  } finally {
    await log.close();
  }
}

/** The port of the line `MQTT  mqtt://host:port`. Goes on reading afterwards: the pipe must stay open. */
async function announcedPort(child: ChildProcess): Promise<number> {
  const announced = new Promise<number>((resolve, reject) => {
    let text = "";
    child.stdout!.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      const match = /^MQTT\s+mqtt:\/\/\S+:(\d+)$/m.exec(text);
      if (match) resolve(Number(match[1]));
    });
    child.once("exit", (code) => reject(new Error(`sluice ended before it listened (exit code ${code})`)));
  });
  return Promise.race([announced, tooLate("sluice")]);
}

async function accepting(child: ChildProcess, port: number): Promise<void> {
  const until = performance.now() + START_LIMIT_MS;
  while (performance.now() < until) {
    if (child.exitCode !== null) throw new Error(`mosquitto ended with exit code ${child.exitCode}`);
    const socket = connect({ port, host: "127.0.0.1" });
    const open = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    socket.destroy();
    if (open) return;
    await delay(20);
  }
  throw new Error("mosquitto did not listen in time");
}

async function tooLate(what: string): Promise<never> {
  await delay(START_LIMIT_MS, undefined, { ref: false });
  throw new Error(`${what} did not listen in time`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const kill = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
  await exited;
  clearTimeout(kill);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
