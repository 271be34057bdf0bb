/**
 * For tests only: processes of their own, that say what they do in lines on stdout.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { scriptCommand } from "../../../../testkit/script-command.js";

export interface Child {
  readonly process: ChildProcess;
  /** Every line it said so far. */
  readonly lines: readonly string[];
  /** Resolves at the first line that `wanted` takes. Rejects when the process ends without one. */
  line(wanted: (line: string) => boolean): Promise<string>;
  /** SIGTERM, unless told otherwise. Resolves when the process is gone. */
  stop(signal?: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** Starts the script `name` (without extension) beside the module at `base`. Its stderr is ours. */
export function startChild(base: string, name: string, args: readonly string[]): Child {
  const [command, ...script] = scriptCommand(base, name);
  const child = spawn(command, [...script, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  const listeners = new Set<() => void>();
  const tell = () => {
    for (const listener of listeners) listener();
  };
  let over = false;
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once("close", (code, signal) => {
      over = true;
      tell();
      resolve({ code, signal });
    });
  });
  createInterface({ input: child.stdout! }).on("line", (line) => {
    lines.push(line);
    tell();
  });
  return {
    process: child,
    lines,
    line: (wanted) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = lines.find(wanted);
          if (found === undefined && !over) return;
          listeners.delete(look);
          if (found !== undefined) resolve(found);
          else reject(new Error(`${name} ended; it said last: ${lines.slice(-3).join(" | ")}`));
        };
        listeners.add(look);
        look();
      }),
    stop: async (signal = "SIGTERM") => {
      if (!over) child.kill(signal);
      return ended;
    },
  };
}
