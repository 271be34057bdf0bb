/** Programs that must be installed, and running them to the end. */
import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { DeployError } from "./errors.mjs";

const run = promisify(execFile);

/**
 * @param {Record<string, string>} tools program -> where to get it
 * @param {string} purpose ends the sentence "... is needed"
 */
export async function requireTools(tools, purpose) {
  const missing = [];
  for (const [program, origin] of Object.entries(tools)) {
    if (!(await hasTool(program))) missing.push(`${program} (${origin})`);
  }
  if (missing.length > 0) throw new DeployError(`missing: ${missing.join(", ")}; needed ${purpose}`);
}

/** @param {string} program */
export async function hasTool(program) {
  try {
    await run("sh", ["-c", 'command -v "$1"', "sh", program]);
    return true;
  } catch {
    return false;
  }
}

/**
 * Needs Java 17 or later.
 * @param {string} purpose
 * @returns {Promise<string>} which Java it is, in full
 */
export async function requireJava(purpose) {
  await requireTools({ java: "Debian: openjdk-17-jre-headless" }, purpose);
  const { stderr } = await run("java", ["-version"]);
  const major = Number(/version "(\d+)/.exec(stderr)?.[1]);
  if (!(major >= 17))
    throw new DeployError(`Java 17 or later is needed ${purpose}; this is ${stderr.split("\n")[0]}`);
  return stderr;
}

/**
 * @param {string} program
 * @param {string[]} args
 * @param {import('node:child_process').ExecFileOptions} [options]
 * @returns {Promise<string>} its stdout
 */
export async function capture(program, args, options) {
  try {
    return (await run(program, args, { ...options, encoding: "utf8", maxBuffer: 64 << 20 })).stdout;
  } catch (error) {
    const { stdout, stderr } = /** @type {{stdout?: string, stderr?: string}} */ (error);
    throw new DeployError(`${program} ${args.join(" ")} failed: ${stderr || stdout || error}`);
  }
}

/**
 * Runs a program with its output shown on stderr.
 * @param {string} program
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<void>}
 */
export function runTool(program, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: ["ignore", 2, 2] });
    child.once("error", (error) => reject(new DeployError(`cannot run ${program}: ${error.message}`)));
    child.once("close", (code) => {
      if (code === 0) resolve();
      else reject(new DeployError(`${program} ${args.join(" ")} failed with exit code ${code}`));
    });
  });
}
