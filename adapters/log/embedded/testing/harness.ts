/**
 * Temporary logs and child processes for the tests of the embedded log; everything is gone after the test.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import type { LogRecord } from "../../../../contracts/ports/log.js";
import { systemClock } from "../../../../runtime/clock.js";
import { createLogger } from "../../../../runtime/logger.js";
import { scriptCommand } from "../../../../testkit/script-command.js";
import { type EmbeddedLog, type EmbeddedLogOptions, openEmbeddedLog } from "../index.js";

export async function tempDir(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "sluice-log-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** A log over `dir` that is closed after the test. */
export async function openLog(
  t: TestContext,
  dir: string,
  options: Partial<EmbeddedLogOptions> = {},
): Promise<EmbeddedLog> {
  const log = await openEmbeddedLog({ dir, clock: systemClock, logger: createLogger("silent"), ...options });
  t.after(() => log.close());
  return log;
}

export async function readAll(
  log: EmbeddedLog,
  topic: string,
  partition = 0,
  from?: number,
): Promise<LogRecord[]> {
  const start = from ?? (await log.ranges(topic))[partition]!.earliest;
  const records: LogRecord[] = [];
  for await (const batch of log.read(topic, partition, start)) records.push(...batch);
  return records;
}

export function textOf(record: LogRecord): string {
  return Buffer.from(record.value).toString();
}

export interface Child {
  process: ChildProcess;
  /** Everything it said so far. */
  lines: string[];
  /** The first line, from the `from`th on, that starts so. Rejects when the process ends without it. */
  line(start: string, from?: number): Promise<string>;
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/**
 * Starts child.ts; killed after the test if it still runs.
 * @param shell shell text to run before it in the same process (limits)
 */
export function startChild(t: TestContext, args: string[], shell?: string): Child {
  const command = [...scriptCommand(import.meta.url, "child"), ...args];
  const started =
    shell === undefined
      ? spawn(command[0]!, command.slice(1), { stdio: ["pipe", "pipe", "inherit"] })
      : spawn("bash", ["-c", `${shell}; exec "$@"`, "bash", ...command], {
          stdio: ["pipe", "pipe", "ignore"],
        });
  const lines: string[] = [];
  const listeners = new Set<() => void>();
  let over = false;
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    started.once("close", (code, signal) => {
      over = true;
      for (const listener of listeners) listener();
      resolve({ code, signal });
    });
  });
  createInterface({ input: started.stdout! }).on("line", (line) => {
    lines.push(line);
    for (const listener of listeners) listener();
  });
  t.after(async () => {
    started.kill("SIGKILL");
    await ended;
  });
  return {
    process: started,
    lines,
    ended,
    line: (start, from = 0) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = lines.slice(from).find((line) => line.startsWith(start));
          if (found === undefined && !over) return;
          listeners.delete(look);
          if (found !== undefined) resolve(found);
          else reject(new Error(`the child ended without saying "${start}": ${lines.slice(-5).join(" | ")}`));
        };
        listeners.add(look);
        look();
      }),
  };
}
