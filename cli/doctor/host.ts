/**
 * Checks of the machine: ports, open files, room and speed of the disk. Nothing is left behind.
 */
import { accessSync, constants, readFileSync } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { DEFAULT_LIMITS } from "../../gateway/limits.js";
import type { Config } from "../../runtime/config/schema.js";
import { diskFull, diskSpace, nearestFolder, sizeText } from "../disk.js";
import { type Finding, ok, problem, warning } from "./finding.js";

const ASK_LIMIT_MS = 2_000;

/** Taken ports are fine when it is this Sluice that took them. */
export async function checkPorts({ mqtt, http }: Config): Promise<Finding[]> {
  const running = http.port === 0 ? undefined : await runningSluice(http.host, http.port);
  return [
    await checkPort("mqtt port", "mqtt.port", mqtt.host, mqtt.port, running?.mqttPort === mqtt.port),
    await checkPort("http port", "http.port", http.host, http.port, running !== undefined),
  ];
}

async function checkPort(
  check: string,
  setting: string,
  host: string,
  port: number,
  ours: boolean,
): Promise<Finding> {
  if (port === 0) return ok(check, "a free one is taken at the start");
  const error = await listenError(host, port);
  const where = `${host}:${port}`;
  if (error === undefined) return ok(check, `${where} is free`);
  if (error === "EADDRINUSE" && ours) return ok(check, `${where} is held by a running Sluice`);
  const advice: Record<string, string> = {
    EADDRINUSE: `stop what listens there (ss -ltnp 'sport = :${port}'), or change ${setting}`,
    EACCES: `ports below 1024 need CAP_NET_BIND_SERVICE; or change ${setting}`,
    EADDRNOTAVAIL: `${host} is no address of this machine: change ${setting.replace("port", "host")}`,
  };
  return problem(
    check,
    `cannot listen on ${where}: ${error}`,
    advice[error] ?? `change ${setting} or its host`,
  );
}

function listenError(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(port, host, () => server.close(() => resolve(undefined)));
  });
}

/** What answers on the HTTP port, when it is a Sluice. */
async function runningSluice(host: string, port: number): Promise<{ mqttPort: number | null } | undefined> {
  const address = host === "0.0.0.0" || host === "::" ? "localhost" : host;
  const url = `http://${address.includes(":") ? `[${address}]` : address}:${port}/api/v1/info`;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ASK_LIMIT_MS) });
    const info = (await response.json()) as { name?: unknown; mqttPort: number | null };
    return info.name === "sluice" ? info : undefined;
  } catch {
    return undefined; // Nothing there, or something else: the port check tells which.
  }
}

/** Files besides connections: the log, the store, HTTP, libraries. */
const OTHER_FILES = 500;
/** Enough for a small fleet. */
const FEWEST_FILES = 1_024;

export function checkOpenFiles(limit = openFileLimit()): Finding {
  const check = "open files";
  if (limit === undefined) return ok(check, "this system does not tell its limit");
  const wanted = DEFAULT_LIMITS.maxConnections + OTHER_FILES;
  if (limit >= wanted) return ok(check, `${limit} may be open`);
  const found = `${limit} may be open: about ${Math.max(0, limit - OTHER_FILES)} connections`;
  const advice = `raise it to ${wanted} or more: LimitNOFILE= of the systemd unit, or ulimit -n`;
  return limit < FEWEST_FILES ? problem(check, found, advice) : warning(check, found, advice);
}

/** Node raises its own soft limit to the hard one, so this is what a gateway has. */
function openFileLimit(): number | undefined {
  try {
    const [, soft] =
      /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    return soft === "unlimited" ? Number.POSITIVE_INFINITY : soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

const LITTLE_ROOM_SHARE = 0.1;

export async function checkDisk(dataDir: string): Promise<Finding[]> {
  const folder = nearestFolder(dataDir);
  const space = await diskSpace(dataDir);
  const room = `${sizeText(space.freeBytes)} free of ${sizeText(space.totalBytes)}`;
  const more = "free some, move dataDir, or keep less: topics.retention.*";
  const full = diskFull(space);
  const little = space.freeBytes < space.totalBytes * LITTLE_ROOM_SHARE;
  const spaceFinding = full
    ? problem("disk space", full, more)
    : little
      ? warning("disk space", room, more)
      : ok("disk space", room);
  try {
    accessSync(folder, constants.W_OK);
  } catch {
    const advice = `let this user write there (chown), or change dataDir`;
    return [spaceFinding, problem("data folder", `${folder} cannot be written`, advice)];
  }
  return [spaceFinding, judgeSync(await syncTimesMs(folder))];
}

const SYNCS = 20;
const SLOW_SYNC_MS = 20;
const VERY_SLOW_SYNC_MS = 200;

/** How long it takes to make 4 KiB durable, as for every group of acks. */
async function syncTimesMs(folder: string): Promise<number[]> {
  const dir = await mkdtemp(join(folder, ".sluice-doctor-"));
  try {
    const file = await open(join(dir, "sync"), "w");
    const block = Buffer.alloc(4096, 1);
    const times: number[] = [];
    for (let i = 0; i < SYNCS; i++) {
      const began = performance.now();
      await file.write(block);
      await file.datasync();
      times.push(performance.now() - began);
    }
    await file.close();
    return times;
  } finally {
    await rm(dir, { recursive: true });
  }
}

export function judgeSync(timesMs: readonly number[]): Finding {
  const sorted = [...timesMs].sort((a, b) => a - b);
  const medianMs = sorted[Math.floor(sorted.length / 2)]!;
  const found = `fsync takes ${medianMs.toFixed(1)} ms, at worst ${sorted.at(-1)!.toFixed(1)} ms`;
  const advice = "each ack waits for one: put dataDir on a local SSD, away from other writers";
  if (medianMs >= VERY_SLOW_SYNC_MS) return problem("disk speed", found, advice);
  return medianMs >= SLOW_SYNC_MS ? warning("disk speed", found, advice) : ok("disk speed", found);
}
