/** What is fetched or built once per machine: `~/.cache/sluice`, or `SLUICE_CACHE_DIR`. Safe under concurrent runs. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { progress } from "./cli.mjs";
import { withLock } from "./lock.mjs";
import { requireTools, runTool } from "./tools.mjs";

export function cacheDir() {
  return process.env.SLUICE_CACHE_DIR
    ? resolve(process.env.SLUICE_CACHE_DIR)
    : join(homedir(), ".cache", "sluice");
}

/**
 * The folder of a cache entry; `fill` makes it the first time. An entry appears whole or not at all.
 * @param {string} name
 * @param {string[]} inputs texts that decide the content: another text is another entry
 * @param {(dir: string) => Promise<void>} fill writes the content into an empty folder
 * @returns {Promise<string>}
 */
export async function cached(name, inputs, fill) {
  const hash = createHash("sha256");
  for (const text of inputs) hash.update(text).update("\0");
  const entry = join(cacheDir(), `${name}-${hash.digest("hex").slice(0, 12)}`);
  if (existsSync(entry)) return entry;
  await mkdir(cacheDir(), { recursive: true });
  const waiting = () => progress(`another process is preparing ${name}; waiting for it`);
  await withLock(`${entry}.lock`, () => fillEntry(entry, fill), waiting);
  return entry;
}

/** @param {string} entry @param {(dir: string) => Promise<void>} fill */
async function fillEntry(entry, fill) {
  if (existsSync(entry)) return;
  const partial = await mkdtemp(`${entry}.partial-`);
  try {
    await fill(partial);
    await rename(partial, entry);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

/**
 * @param {string} name
 * @param {string} pom
 * @returns {Promise<string>} a Java class path with the run-time dependencies of the pom
 */
export async function mavenJars(name, pom) {
  const dir = await cached(name, [await readFile(pom, "utf8")], async (target) => {
    await requireTools({ mvn: "maven" }, `to fetch the ${name} jars`);
    progress(`fetching the ${name} jars with Maven (once)`);
    const goal = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies";
    await runTool("mvn", [
      "-q",
      "-B",
      "-Dstyle.color=never",
      "-f",
      pom,
      goal,
      "-DincludeScope=runtime",
      `-DoutputDirectory=${target}`,
    ]);
  });
  return join(dir, "*");
}
