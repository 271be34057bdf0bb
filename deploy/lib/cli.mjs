/**
 * The command line shared by every script here: flags in, one JSON object (or a short summary) out.
 * stdout carries the result only; progress and errors go to stderr. Exit codes: 0 ok, 1 failed, 2 usage.
 */
import { parseArgs } from "node:util";
import { DeployError, UsageError } from "./errors.mjs";

/** @param {string} message */
export function progress(message) {
  process.stderr.write(`${message}\n`);
}

/**
 * Parses the arguments and runs `body`; turns every error into an exit code.
 * @param {{usage: string, options?: import('node:util').ParseArgsConfig['options']}} spec
 * @param {(flags: Record<string, any>, positionals: string[]) => Promise<void>} body
 */
export async function main(spec, body) {
  try {
    const { values, positionals } = parse(spec);
    if (values.help) {
      process.stdout.write(`${spec.usage}\n`);
      return;
    }
    await body(values, positionals);
  } catch (error) {
    if (error instanceof UsageError) progress(`${error.message}\n${spec.usage}`);
    else if (error instanceof DeployError) progress(`error: ${error.message}`);
    else progress(`error: ${error instanceof Error ? error.stack : String(error)}`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}

/** @param {Parameters<typeof main>[0]} spec */
function parse(spec) {
  try {
    return parseArgs({
      options: { ...spec.options, help: { type: "boolean", short: "h" } },
      allowPositionals: true,
    });
  } catch (error) {
    throw new UsageError(/** @type {Error} */ (error).message);
  }
}

/**
 * @param {string | undefined} text
 * @param {string} flag
 * @param {{min: number, max: number}} range inclusive
 * @returns {number | undefined} undefined when the flag was not given
 */
export function integerFlag(text, flag, { min, max }) {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === "" || !Number.isInteger(value) || value < min || value > max) {
    throw new UsageError(`${flag} must be a whole number from ${min} to ${max}, not "${text}"`);
  }
  return value;
}

/**
 * The folder of a command that takes it as `DIR` or as `--dir DIR`.
 * @param {string | undefined} flag
 * @param {string | undefined} positional
 */
export function requireDir(flag, positional) {
  if (flag && positional) throw new UsageError("give the folder once: as DIR or as --dir DIR");
  const dir = flag ?? positional;
  if (!dir) throw new UsageError("the folder of the server is missing");
  return dir;
}
