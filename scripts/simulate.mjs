// Runs seeded worlds (tests/simulation) by the thousand, spread over two processes.
//   npm run simulate -- --seeds 100000 [--from N]     seeds N, N+1, ...; 1 by default
//   npm run simulate -- --seed N                      one seed again, with its whole failure
// Prints what was met on the way; exits 1 with the first seed that broke a promise, 2 on wrong usage.
import { fork } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const WORKERS = 2;
const PROGRESS_EVERY_MS = 500;
const self = fileURLToPath(import.meta.url);
const compiled = join(dirname(dirname(self)), "dist/tests/simulation/run.js");

if (process.send) await work(process.argv.slice(2).map(Number));
else await main();

async function main() {
  const { seeds, from, seed } = options();
  if (!existsSync(compiled)) {
    console.error("dist/ is missing: run `npm run build` first");
    process.exit(2);
  }
  if (seed !== undefined) return runOne(seed);
  const startedMs = performance.now();
  const totals = { seeds: 0, readings: 0, virtualMs: 0, faults: {} };
  const showProgress = progressLine(() => {
    const perMinute = (totals.seeds / (performance.now() - startedMs)) * 60_000;
    const minutes = (seeds - totals.seeds) / perMinute;
    return `${totals.seeds} of ${seeds} seeds, ${Math.round(perMinute)} a minute, ${minutes.toFixed(1)} min left`;
  });
  const workers = [];
  for (let i = 0; i < Math.min(WORKERS, seeds); i++) {
    workers.push(startWorker([from + i, from + seeds, WORKERS], (outcome) => add(totals, outcome)));
  }
  // The first failure ends all.
  const stopAll = () => {
    for (const { child } of workers) child.kill();
  };
  for (const { done } of workers) done.then((failure) => failure && stopAll(), stopAll);
  const failures = (await Promise.all(workers.map(({ done }) => done))).filter(Boolean);
  showProgress.stop();
  report(totals, performance.now() - startedMs);
  for (const { seed, message } of failures) {
    console.error(`\nseed ${seed} failed: ${message}\nagain: npm run simulate -- --seed ${seed}`);
  }
  if (failures.length > 0) process.exit(1);
}

function options() {
  try {
    const whole = { type: "string" };
    const { values } = parseArgs({ options: { seeds: whole, from: whole, seed: whole } });
    const number = (name, otherwise) => {
      if (values[name] === undefined) return otherwise;
      const value = Number(values[name]);
      if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name}: not a whole number`);
      return value;
    };
    return { seeds: number("seeds", 1_000), from: number("from", 1), seed: number("seed") };
  } catch (error) {
    console.error(`${error.message}\nusage: simulate [--seeds COUNT] [--from SEED] | --seed SEED`);
    process.exit(2);
  }
}

/** One seed in this process, with the whole error. */
async function runOne(seed) {
  const { runSeed } = await import(pathToFileURL(compiled).href);
  try {
    const totals = { seeds: 0, readings: 0, virtualMs: 0, faults: {} };
    const startedMs = performance.now();
    add(totals, await runSeed(seed));
    report(totals, performance.now() - startedMs);
  } catch (error) {
    console.error(`seed ${seed} failed:`, error);
    process.exit(1);
  }
}

/** Resolves with the failure the process met, or undefined. */
function startWorker(args, onOutcome) {
  const child = fork(self, args.map(String), { execArgv: ["--max-semi-space-size=64"] });
  const done = new Promise((resolve, reject) => {
    let failure;
    child.on("message", (message) => {
      if (message.failure) failure = message.failure;
      else onOutcome(message);
    });
    child.on("exit", (code, signal) => {
      if (failure || code === 0 || signal === "SIGTERM") resolve(failure);
      else reject(new Error(`a worker ended with ${signal ?? code}`));
    });
  });
  return { child, done };
}

/** In a worker: every `step`-th seed of [from, to), until one fails. */
async function work([from, to, step]) {
  const { runSeed } = await import(pathToFileURL(compiled).href);
  for (let seed = from; seed < to; seed += step) {
    try {
      process.send(await runSeed(seed));
    } catch (error) {
      process.send({ failure: { seed, message: error.message } });
      break;
    }
  }
  process.disconnect();
}

function add(totals, { readings, virtualMs, faults }) {
  totals.seeds++;
  totals.readings += readings;
  totals.virtualMs += virtualMs;
  for (const kind in faults) totals.faults[kind] = (totals.faults[kind] ?? 0) + faults[kind];
}

function report({ seeds, readings, virtualMs, faults }, tookMs) {
  const rows = [
    ["seeds", seeds],
    ["seeds a minute", Math.round((seeds / tookMs) * 60_000)],
    ["virtual hours", Math.round(virtualMs / 3_600_000)],
    ["records in telemetry.readings", readings],
    ...Object.entries(faults).sort(([a], [b]) => (a < b ? -1 : 1)),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, value] of rows) console.log(`${name.padEnd(width)}  ${value.toLocaleString("en")}`);
}

/** Keeps one line of a terminal up to date. */
function progressLine(text) {
  if (!process.stderr.isTTY) return { stop() {} };
  const timer = setInterval(() => process.stderr.write(`\r\x1b[K${text()}`), PROGRESS_EVERY_MS);
  return {
    stop() {
      clearInterval(timer);
      process.stderr.write("\r\x1b[K");
    },
  };
}
