/**
 * Starts and stops a real server for the store tests through `deploy/<name>/up` and `down`.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { repoRoot } from "../../testkit/repo-root.js";

const run = promisify(execFile);
const deploy = join(repoRoot, "deploy");

export interface Server {
  url: string;
  org?: string;
  bucket?: string;
  token?: string;
  stop(): Promise<void>;
}

/** Why the server cannot be started here; undefined when its tools are there. On CI that is a failure. */
export async function missingTools(name: string, tools: readonly string[]): Promise<string | undefined> {
  const missing: string[] = [];
  for (const tool of tools) {
    await run("sh", ["-c", `command -v ${tool}`]).catch(() => missing.push(tool));
  }
  if (missing.length === 0) return undefined;
  const reason = `${name} is NOT tested: ${missing.join(", ")} not found`;
  if (process.env.CI === "true") throw new Error(reason);
  process.stderr.write(`${reason}\n`);
  return reason;
}

/** The first start may build or download the server: minutes. */
export async function startServer(name: "influxdb" | "questdb"): Promise<Server> {
  const dir = await mkdtemp(join(tmpdir(), `sluice-${name}-`));
  const { stdout } = await run(join(deploy, name, "up"), ["--dir", dir, "--json"], { maxBuffer: 1 << 24 });
  const stop = async () => {
    await run(join(deploy, name, "down"), [dir]);
    await rm(dir, { recursive: true, force: true });
  };
  return { ...(JSON.parse(stdout) as Omit<Server, "stop">), stop };
}
