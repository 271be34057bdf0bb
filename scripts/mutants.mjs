// Plants each bug of tests/mutants/*.patch in a copy of the tree and shows that a named test notices it.
//   npm run mutants [-- NAME...]     all of them, or those whose file name contains a NAME
// A patch begins with header lines `Promise:`, `Bug:` and `Killed by:` (test files, separated by commas). Before any
// bug is planted the named tests must pass. Exits 1 when a mutant survives, or a patch no longer applies or compiles.
import { execFile, execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";

const WORKERS = 2;
/** A test that takes longer hangs. Idle, the slowest takes half a minute. */
const TEST_LIMIT_MS = 300_000;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, "tests/mutants");
const run = promisify(execFile);

const wanted = process.argv.slice(2);
const mutants = readdirSync(folder)
  .filter((file) => file.endsWith(".patch"))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort()
  .map(readMutant);
if (mutants.length === 0) {
  console.error(`no mutant matches ${wanted.join(" ")}`);
  process.exit(2);
}

const temp = mkdtempSync(join(tmpdir(), "mutants-"));
try {
  process.exitCode = (await main()) ? 0 : 1;
} finally {
  rmSync(temp, { recursive: true, force: true });
}

async function main() {
  const copies = Array.from({ length: WORKERS }, (_, i) => copyTree(join(temp, `tree${i}`)));
  const tests = [...new Set(mutants.flatMap((mutant) => mutant.tests))];
  const broken = (
    await spread(copies, tests, async (copy, test) => ({ test, failed: await failureOf(copy, test) }))
  ).filter(({ failed }) => failed);
  for (const { test, failed } of broken) console.error(`${test} fails without any bug: ${failed}`);
  if (broken.length > 0) return false;
  const results = await spread(copies, mutants, judge);
  print(results);
  const killed = results.filter((result) => result.killedBy).length;
  console.log(`\n${killed} of ${results.length} mutants killed`);
  return killed === results.length;
}

function readMutant(file) {
  const path = join(folder, file);
  const header = (name) => {
    const found = new RegExp(`^${name}: (.+)$`, "m").exec(readFileSync(path, "utf8"));
    if (!found) throw new Error(`${file}: no line "${name}: ..."`);
    return found[1];
  };
  const tests = header("Killed by").split(/,\s*/);
  return { name: file.replace(/\.patch$/, ""), path, promise: header("Promise"), bug: header("Bug"), tests };
}

/** The sources as they are in the working tree; packages are linked. */
function copyTree(to) {
  const list = ["ls-files", "--cached", "--others", "--exclude-standard"];
  const files = execFileSync("git", list, { cwd: root, encoding: "utf8" }).split("\n");
  for (const file of files.filter((name) => /\.(ts|tsx|json)$/.test(name))) {
    mkdirSync(join(to, dirname(file)), { recursive: true });
    cpSync(join(root, file), join(to, file), { errorOnExist: false });
  }
  symlinkSync(join(root, "node_modules"), join(to, "node_modules"));
  return to;
}

/** Calls `work(copy, item)` for every item, each copy working on one at a time; results in the order of the items. */
async function spread(copies, items, work) {
  const results = new Array(items.length);
  let next = 0;
  const loop = async (copy) => {
    while (next < items.length) {
      const i = next++;
      results[i] = await work(copy, items[i]);
    }
  };
  await Promise.all(copies.map(loop));
  return results;
}

async function judge(copy, mutant) {
  const startedMs = performance.now();
  const result = { ...mutant, killedBy: undefined, problem: undefined };
  try {
    await run("git", ["apply", mutant.path], { cwd: copy });
  } catch (error) {
    return { ...result, problem: `the patch no longer applies: ${error.stderr.trim()}`, seconds: 0 };
  }
  try {
    for (const test of mutant.tests) {
      const failed = await failureOf(copy, test);
      if (failed) {
        result.killedBy = `${test}: ${failed}`;
        break;
      }
    }
    if (!result.killedBy) result.problem = `survives ${mutant.tests.join(", ")}`;
  } catch (error) {
    result.problem = error.message;
  }
  await run("git", ["apply", "--reverse", mutant.path], { cwd: copy });
  return { ...result, seconds: (performance.now() - startedMs) / 1000 };
}

/**
 * Compiles and runs a test file.
 * @returns the name of its first failing test, or undefined
 * @throws Error when it does not compile
 */
async function failureOf(copy, test) {
  const outfile = join(copy, "built", test.replace(/\.ts$/, ".mjs"));
  await build({
    ...{ entryPoints: [join(copy, test)], outfile, absWorkingDir: copy, logLevel: "silent" },
    ...{ bundle: true, platform: "node", format: "esm", packages: "external" },
  });
  const child = spawn(process.execPath, ["--test-reporter=tap", outfile], {
    cwd: copy,
    stdio: ["ignore", "pipe", "ignore"],
    timeout: TEST_LIMIT_MS,
    killSignal: "SIGKILL",
  });
  return new Promise((resolve) => {
    let output = "";
    let failed;
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
      failed ??= /^\s*not ok \d+ - (.*)\n/m.exec(output)?.[1];
      // One failure is enough; what it has left behind may keep the process alive.
      if (failed) child.kill("SIGKILL");
    });
    child.on("close", (code, signal) => {
      const ending = signal ? `took more than ${TEST_LIMIT_MS / 1000} s` : `ended with ${code}`;
      resolve(failed ?? (code === 0 ? undefined : ending));
    });
  });
}

function print(results) {
  const rows = [["mutant", "promise", "seconds", "killed by"]];
  for (const { name, promise, seconds, killedBy, problem } of results) {
    rows.push([name, promise, seconds.toFixed(1), killedBy ?? `NOT KILLED: ${problem}`]);
  }
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows) {
    console.log(row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "));
  }
}
