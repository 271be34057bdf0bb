/**
 * Real Sluice processes for end-to-end tests: started from the compiled command, watched, killed, restarted.
 *
 * Guarantees: each {@link Workspace} has its own temporary folder; whatever was started in it is stopped, by its pid,
 * when it closes, and also when the test process ends early. Nothing here measures time: waits are for a condition,
 * with a generous limit.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { repoRoot } from "../../testkit/repo-root.js";

export const WAIT_LIMIT_MS = 120_000;

export const ROOT = repoRoot;
const MAIN = join(ROOT, "dist", "cli", "main.js");

/** Repeats `probe` until it gives something. The last error of a failing probe is part of the message. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  limitMs = WAIT_LIMIT_MS,
): Promise<T> {
  let problem: unknown;
  for (const end = Date.now() + limitMs; Date.now() < end; await sleep(50)) {
    try {
      const found = await probe();
      if (found !== undefined && found !== false) return found;
      problem = undefined;
    } catch (error) {
      problem = error;
    }
  }
  throw new Error(`waited in vain for ${what}${problem ? `: ${String(problem)}` : ""}`, { cause: problem });
}

/** Stops what still runs when this process ends early. Only synchronous work has an effect there. */
const stops = new Set<() => void>();
process.once("exit", () => {
  for (const stop of stops) stop();
});
/** Registers what to do when this process ends; the result takes it back. */
export function atExit(stop: () => void): () => void {
  stops.add(stop);
  return () => stops.delete(stop);
}
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

function launch(args: readonly string[], options: { cwd: string; env: NodeJS.ProcessEnv }): ChildProcess {
  const child = spawn(process.execPath, [MAIN, ...args], { ...options, stdio: ["ignore", "pipe", "pipe"] });
  child.once(
    "exit",
    atExit(() => child.kill("SIGKILL")),
  );
  return child;
}

/** The environment without the settings of whoever runs the tests. */
function cleanEnv(env: Record<string, string>): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("SLUICE_"));
  return { ...Object.fromEntries(own), ...env };
}

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** A temporary folder and everything that runs in it. */
export class Workspace {
  readonly dir = mkdtempSync(join(tmpdir(), "sluice-e2e-"));
  readonly dataDir = join(this.dir, "data");
  readonly #cleanups: (() => Promise<unknown>)[] = [];
  readonly #started: Sluice[] = [];

  /** One that closes with the test, and shows the logs of its processes when the test failed. */
  static of(t: TestContext): Workspace {
    const space = new Workspace();
    t.after(async () => {
      const { passed } = t as TestContext & { passed?: boolean };
      if (passed === false) process.stderr.write(space.logs());
      await space.close();
    });
    return space;
  }

  /** Runs `sluice ARGS` to its end. */
  async command(args: readonly string[], env: Record<string, string> = {}): Promise<CommandResult> {
    const child = launch(args, { cwd: this.dir, env: cleanEnv(env) });
    const output = { stdout: "", stderr: "" };
    collect(child, output);
    const [code] = (await once(child, "close")) as [number | null];
    return { code: code ?? -1, ...output };
  }

  /** Starts `sluice up` (or `gateway`, `processor`) on the workspace's data folder and waits until it is ready. */
  async start(options: StartOptions = {}): Promise<Sluice> {
    const sluice = new Sluice(this, options, await freePort(), await freePort());
    this.#started.push(sluice);
    this.onClose(() => sluice.kill());
    await sluice.start();
    return sluice;
  }

  /** Writes `sluice.yaml` in the folder where every command of the workspace runs. */
  configure(yaml: string): void {
    writeFileSync(join(this.dir, "sluice.yaml"), yaml);
  }

  onClose(cleanup: () => Promise<unknown>): void {
    this.#cleanups.push(cleanup);
  }

  /** The ends of the logs of all its processes, for a failure message. */
  logs(): string {
    return this.#started.map((sluice) => `--- ${sluice.name}\n${sluice.tail()}\n`).join("");
  }

  async close(): Promise<void> {
    const results = await Promise.allSettled(this.#cleanups.reverse().map((cleanup) => cleanup()));
    rmSync(this.dir, { recursive: true, force: true });
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }
}

export interface StartOptions {
  command?: "up" | "gateway" | "processor";
  env?: Record<string, string>;
  args?: readonly string[];
}

/** One Sluice, over all its restarts: always the same ports and data folder. */
export class Sluice {
  readonly name: string;
  readonly #space: Workspace;
  readonly #options: StartOptions;
  readonly #mqttPort: number;
  readonly #httpPort: number;
  readonly #output = { stdout: "", stderr: "" };
  #child: ChildProcess | undefined;

  constructor(space: Workspace, options: StartOptions, mqttPort: number, httpPort: number) {
    this.#space = space;
    this.#options = options;
    this.#mqttPort = mqttPort;
    this.#httpPort = httpPort;
    this.name = `sluice ${options.command ?? "up"}`;
  }

  get mqttUrl(): string {
    return `mqtt://127.0.0.1:${this.#mqttPort}`;
  }

  get httpUrl(): string {
    return `http://127.0.0.1:${this.#httpPort}`;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Starts the process, again if it ran before, and waits until it says that it is ready. */
  async start(): Promise<void> {
    assert.ok(!this.running, `${this.name} runs already`);
    const { command = "up", args = [], env = {} } = this.#options;
    const ports = ["--mqtt-port", `${this.#mqttPort}`, "--http-port", `${this.#httpPort}`];
    this.#output.stdout = "";
    const child = launch([command, "--data-dir", this.#space.dataDir, ...ports, ...args], {
      cwd: this.#space.dir,
      env: cleanEnv(env),
    });
    this.#child = child;
    collect(child, this.#output);
    await until(`${this.name} to be ready`, () => !this.running || this.#output.stdout.includes("HTTP"));
    if (!this.running) throw new Error(`${this.name} ended with ${child.exitCode}:\n${this.tail()}`);
  }

  /** As in a crash: SIGKILL. Nothing when it does not run. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** SIGTERM, and waits for the end. @returns the exit code; null when a signal ended it */
  stop(): Promise<number | null> {
    return this.#end("SIGTERM");
  }

  /** Stops the process in its tracks until {@link thaw}: what a machine that hangs looks like to the others. */
  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (!child || !this.running) return child?.exitCode ?? null;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
    return child.exitCode;
  }

  fetch(path: string): Promise<Response> {
    return fetch(this.httpUrl + path, { signal: AbortSignal.timeout(30_000) });
  }

  async getJson<T>(path: string): Promise<T> {
    const response = await this.fetch(path);
    const text = await response.text();
    assert.equal(response.status, 200, `GET ${path}: ${text}`);
    return JSON.parse(text) as T;
  }

  /** The last lines of stdout and stderr, over all restarts; of each line what a person reads. */
  tail(lines = 40): string {
    const all = (this.#output.stderr + this.#output.stdout).trimEnd().split("\n");
    return all
      .slice(-lines)
      .map((line) => line.slice(0, 400))
      .join("\n");
  }
}

const KEPT_OUTPUT = 1_000_000;

function collect(child: ChildProcess, output: { stdout: string; stderr: string }): void {
  for (const name of ["stdout", "stderr"] as const) {
    child[name]!.setEncoding("utf8").on("data", (text: string) => {
      output[name] = (output[name] + text).slice(-KEPT_OUTPUT);
    });
  }
}

/** Below the range of outgoing connections, so that it is still free when a killed process comes back. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!free) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

/** The programs that are missing here. */
export function missing(...programs: string[]): string[] {
  return programs.filter((program) => {
    try {
      execFileSync("sh", ["-c", 'command -v "$1"', "sh", program], { stdio: "ignore" });
      return false;
    } catch {
      return true;
    }
  });
}

/** False, and the test is skipped loudly, when a program is missing; a failure under CI=true. */
export function needs(t: TestContext, ...programs: string[]): boolean {
  const absent = missing(...programs);
  if (absent.length === 0) return true;
  const message = `NOT TESTED: ${t.name}: missing ${absent.join(", ")}`;
  assert.notEqual(process.env.CI, "true", message);
  console.error(message);
  t.skip(message);
  return false;
}
