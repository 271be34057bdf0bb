/**
 * How a test starts a script of ours as a process: compiled tests start the compiled script, others go through tsx.
 */
import { fileURLToPath } from "node:url";

/**
 * @param base `import.meta.url` of the module the script lies beside
 * @param name of the script, without extension
 * @returns the command and its first arguments
 */
export function scriptCommand(base: string, name: string): [command: string, ...args: string[]] {
  const compiled = base.endsWith(".js");
  const script = fileURLToPath(new URL(`./${name}${compiled ? ".js" : ".ts"}`, base));
  return compiled ? [process.execPath, script] : [process.execPath, "--import", "tsx", script];
}
