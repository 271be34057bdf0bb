/**
 * Starts and stops the real servers of `deploy/` for the demo: Kafka, InfluxDB, QuestDB, without Docker.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "./package-root.js";

export interface Server {
  /** What `up --json` printed: ports, addresses, tokens, and `dir`. */
  info: Record<string, unknown> & { dir: string };
  down(): Promise<void>;
}

/** @param name folder below `deploy/` */
export async function startServer(name: "kafka" | "influxdb" | "questdb"): Promise<Server> {
  const script = (action: string) => join(packageRoot, "deploy", name, action);
  const info = JSON.parse(await output(script("up"), ["--json"])) as Server["info"];
  return { info, down: async () => void (await output(script("down"), [info.dir])) };
}

function output(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(text);
      else reject(new Error(`${command} ended with exit code ${code}`));
    });
  });
}
