/**
 * Ingest at QoS 1: messages per second and processor time of `sluice gateway` (validated, and durable before the
 * ack), of `sluice up` (rollups and the default detector on top), and of a plain Mosquitto (neither), under the
 * same load, in alternating rounds of one run.
 *
 * Run compiled: node dist/bench/ingest.js [--rounds N] [--seconds N] [--connections N] [--json]
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { median, optionsOf, print, progress, type Report, rounded, spread } from "./support/measure.js";
import { type LoadOptions, type LoadResult, PAYLOAD_BYTES } from "./support/publisher-options.js";
import { findMosquitto, type Server, startMosquitto, startSluice } from "./support/servers.js";

const WINDOWS = [20, 100];
const DEVICES = 1_000;
const WARMUP_MS = 2_000;
const PUBLISHER = fileURLToPath(new URL("./support/publisher.js", import.meta.url));
const run = promisify(execFile);

const options = optionsOf({ rounds: 3, seconds: 5, connections: 50 });

type Contestants = Record<string, () => Promise<Server>>;

/** One round of one contestant. */
async function measure(start: () => Promise<Server>, window: number): Promise<LoadResult> {
  const server = await start();
  let result: LoadResult;
  let stored: number | undefined;
  try {
    const load: LoadOptions = {
      port: server.port,
      serverPid: server.pid,
      connections: options.connections,
      devicesPerConnection: Math.max(1, Math.round(DEVICES / options.connections)),
      window,
      warmupMs: WARMUP_MS,
      measureMs: options.seconds * 1_000,
    };
    const { stdout } = await run(process.execPath, [PUBLISHER, JSON.stringify(load)]);
    result = JSON.parse(stdout) as LoadResult;
  } finally {
    stored = await server.stop();
  }
  // The bench has to be honest: what was acked is in the log, each once.
  if (stored !== undefined && stored !== result.ackedInAll)
    throw new Error(`${result.ackedInAll} messages were acked, ${stored} readings are in the log`);
  return result;
}

function row(rounds: readonly LoadResult[], peer: readonly LoadResult[] | undefined) {
  const rate = ({ acked, seconds }: LoadResult) => acked / seconds;
  const cpu = ({ acked, serverCpuSeconds }: LoadResult) => (serverCpuSeconds / acked) * 100_000;
  const of = (results: readonly LoadResult[], value: (result: LoadResult) => number) =>
    median(results.map(value));
  return {
    "msg/s": rounded(of(rounds, rate)),
    "rounds (msg/s)": spread(rounds.map(rate)),
    "CPU-s per 100k": rounded(of(rounds, cpu)),
    "cores used": rounded(of(rounds, (result) => result.serverCpuSeconds / result.seconds)),
    "cores of the load": rounded(of(rounds, (result) => result.ownCpuSeconds / result.seconds)),
    ...(peer && {
      "rate / Mosquitto": rounded(of(rounds, rate) / of(peer, rate)),
      "CPU / Mosquitto": rounded(of(rounds, cpu) / of(peer, cpu)),
    }),
  };
}

async function compare(contestants: Contestants): Promise<Report["rows"]> {
  const rows: Report["rows"] = {};
  for (const window of WINDOWS) {
    const results = new Map(Object.keys(contestants).map((name) => [name, [] as LoadResult[]]));
    for (let round = 1; round <= options.rounds; round++) {
      for (const [name, start] of Object.entries(contestants)) {
        progress(`ingest: window ${window}, round ${round} of ${options.rounds}, ${name}`);
        results.get(name)!.push(await measure(start, window));
      }
    }
    for (const [name, rounds] of results) {
      rows[`window ${window}: ${name}`] = row(rounds, results.get("Mosquitto"));
    }
  }
  progress("");
  return rows;
}

const mosquitto = findMosquitto();
const rows = await compare({
  "sluice gateway": () => startSluice("gateway"),
  "sluice up": () => startSluice("up"),
  ...(mosquitto !== undefined && { Mosquitto: () => startMosquitto(mosquitto) }),
});
print(
  {
    title: `QoS 1 ingest, ${options.connections} connections, ${DEVICES} devices, ${PAYLOAD_BYTES} B of JSON, median of ${options.rounds} rounds of ${options.seconds} s`,
    rows,
    notes: [
      "Sluice parses and validates each reading and acks it when it is on disk (fsync); after each round its log held exactly what was acked.",
      mosquitto === undefined
        ? "*** MOSQUITTO IS NOT INSTALLED: its rows and every ratio are MISSING. Install it (apt-get install mosquitto) and run again. ***"
        : "Mosquitto neither validates nor stores: it takes the message, acks it, and, as nobody subscribes, forgets it.",
      "CPU is that of the server process, all threads; the load runs in a process of its own.",
    ],
  },
  options.json,
);
