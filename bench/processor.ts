/**
 * Processor speed: readings per second and CPU-seconds per million readings, downsampling only and with the default
 * learned detector on every series, in alternating rounds of one run:
 *
 * - `step`: the pure operator, its input made beforehand, no commits;
 * - `step and commit`: the same with what a commit asks of it (rollups, summary, state as bytes);
 * - `replay`: from the embedded log through `processors/engine/replay.ts`: reading, parsing, operator, commits, with
 *   the outputs counted and let go;
 * - `live`: the operator with a commit after every reading of a device, as a fleet that sends once a second has it.
 *
 * One thread. Run compiled: node dist/bench/processor.js [--readings N] [--devices N] [--rounds N] [--json]
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEmbeddedLog } from "../adapters/log/embedded/index.js";
import type { Alert } from "../contracts/alert.js";
import type { Log } from "../contracts/ports/log.js";
import type { ReadingRecord } from "../contracts/reading.js";
import { TOPICS } from "../contracts/topics.js";
import { DeviceOperator, type OperatorOptions } from "../processors/engine/device-operator.js";
import { replay } from "../processors/engine/replay.js";
import { systemClock } from "../runtime/clock.js";
import { createLogger } from "../runtime/logger.js";
import {
  median,
  optionsOf,
  print,
  progress,
  type Report,
  rounded,
  Stopwatch,
  spread,
} from "./support/measure.js";
import { OPERATORS } from "./support/operator.js";
import { METRICS, Readings } from "./support/readings.js";

const PARTITIONS = 4;
const APPEND_RECORDS = 1_000;
const INTERVAL_MS = 1_000;
/** As in a replay. */
const RECORDS_PER_COMMIT = 50_000;

const options = optionsOf({ readings: 500_000, devices: 1_000, rounds: 3 });
const fleet = { devices: options.devices, intervalMs: INTERVAL_MS };
const rounds = Math.ceil(options.readings / options.devices);
const total = rounds * options.devices;
const logger = createLogger("warn");

/** The live path: small, for each device pays for a commit with every reading. */
const LIVE_DEVICES = 50;
/** Past the allowed lateness, when as many windows are open as will ever be. */
const LIVE_WARMUP_ROUNDS = 700;
const LIVE_ROUNDS = 40;

/** Time for one round of all readings, and the number of rollups: equal work, or the bench is wrong. */
interface Measured {
  watch: Stopwatch;
  readings: number;
  rollups: number;
}

async function fill(log: Log): Promise<void> {
  await log.ensureTopics([{ name: TOPICS.readings, partitions: PARTITIONS }]);
  const readings = new Readings(fleet);
  let batch: ReadingRecord[] = [];
  const append = async () => {
    const records = batch.map((reading) => ({
      key: reading.deviceId,
      value: Buffer.from(JSON.stringify(reading)),
      timestamp: reading.ingestTs,
    }));
    batch = [];
    await log.append(TOPICS.readings, records);
  };
  for (let round = 0; round < rounds; round++) {
    for (const reading of readings.round(round)) {
      if (batch.push(reading) === APPEND_RECORDS) await append();
    }
  }
  if (batch.length > 0) await append();
}

async function measureOperator(operator: OperatorOptions, commits: boolean): Promise<Measured> {
  const readings = new Readings(fleet);
  const watch = new Stopwatch();
  const operators = new Map<string, DeviceOperator>();
  const alerts: Alert[] = [];
  let offset = 0;
  let uncommitted = 0;
  let rollups = 0;
  const step = (batch: readonly ReadingRecord[]) => {
    for (const reading of batch) {
      let one = operators.get(reading.deviceId);
      if (!one) {
        one = DeviceOperator.create(reading.deviceId, operator);
        operators.set(reading.deviceId, one);
      }
      if (one.step(offset++, reading, alerts) !== "counted") throw new Error("a reading was not counted");
    }
    uncommitted += batch.length;
  };
  const commit = () => {
    for (const one of operators.values()) {
      rollups += one.flush().length;
      one.summary();
      one.save();
    }
    uncommitted = 0;
  };
  for (let round = 0; round < rounds; round++) {
    const batch = readings.round(round);
    await watch.time(() => {
      step(batch);
      if (commits && uncommitted >= RECORDS_PER_COMMIT) commit();
    });
  }
  if (commits && uncommitted > 0) await watch.time(commit);
  return { watch, readings: total, rollups };
}

async function measureReplay(log: Log, operator: OperatorOptions): Promise<Measured> {
  const watch = new Stopwatch();
  let rollups = 0;
  const ranges = (await log.ranges(TOPICS.readings)).map(({ partition, earliest, next }) => ({
    ...{ partition, from: earliest, to: next },
  }));
  const counters = await watch.time(() =>
    replay({
      ...{ log, logger, operator, ranges },
      write: async (batch) => {
        rollups += batch.rollups.length;
      },
    }),
  );
  if (counters.counted !== total) throw new Error(`${counters.counted} of ${total} readings were counted`);
  return { watch, readings: total, rollups };
}

/** A commit after every reading of a device: what a commit a second makes of a fleet that sends once a second. */
async function measureLive(operator: OperatorOptions): Promise<Measured> {
  const readings = new Readings({ devices: LIVE_DEVICES, intervalMs: INTERVAL_MS });
  const operators = Array.from({ length: LIVE_DEVICES }, (_, i) =>
    DeviceOperator.create(`device-${i}`, operator),
  );
  const watch = new Stopwatch();
  const alerts: Alert[] = [];
  let rollups = 0;
  const round = (n: number, batch: readonly ReadingRecord[], commit: boolean) => {
    for (const [i, one] of operators.entries()) {
      one.step(n, batch[i]!, alerts);
      if (!commit) continue;
      rollups += one.flush().length;
      one.summary();
      one.save();
    }
  };
  for (let n = 0; n < LIVE_WARMUP_ROUNDS; n++) round(n, readings.round(n), n % 60 === 0);
  rollups = 0;
  for (let n = LIVE_WARMUP_ROUNDS; n < LIVE_WARMUP_ROUNDS + LIVE_ROUNDS; n++) {
    const batch = readings.round(n);
    await watch.time(() => round(n, batch, true));
  }
  return { watch, readings: LIVE_DEVICES * LIVE_ROUNDS, rollups };
}

type Kind = keyof typeof OPERATORS;
const KINDS = Object.keys(OPERATORS) as Kind[];

function row(measured: readonly Measured[], plain: readonly Measured[]): Record<string, number | string> {
  const rates = measured.map(({ watch, readings }) => readings / watch.wallSeconds);
  const cpu = (of: readonly Measured[]) =>
    median(of.map(({ watch, readings }) => (watch.cpuSeconds / readings) * 1e6));
  return {
    "readings/s": rounded(median(rates)),
    "rounds (readings/s)": spread(rates),
    "CPU-s per 1M": rounded(cpu(measured)),
    "CPU / downsampling": rounded(cpu(measured) / cpu(plain)),
    "rollup rows": measured[0]!.rollups,
  };
}

async function compare(log: Log): Promise<Report["rows"]> {
  const paths: Record<string, (operator: OperatorOptions) => Promise<Measured>> = {
    step: (operator) => measureOperator(operator, false),
    "step and commit": (operator) => measureOperator(operator, true),
    replay: (operator) => measureReplay(log, operator),
    live: measureLive,
  };
  const rows: Report["rows"] = {};
  for (const [path, measure] of Object.entries(paths)) {
    const results = new Map(KINDS.map((kind) => [kind, [] as Measured[]]));
    // Round 0 does not count: whoever came first would pay for compiling the code of both.
    for (let round = 0; round <= options.rounds; round++) {
      for (const kind of KINDS) {
        progress(`processor: ${path}, ${kind}, round ${round} of ${options.rounds}`);
        const measured = await measure(OPERATORS[kind]);
        if (round > 0) results.get(kind)!.push(measured);
      }
    }
    for (const [kind, measured] of results) {
      rows[`${path}, ${kind}`] = row(measured, results.get("downsampling")!);
    }
  }
  progress("");
  return rows;
}

const dir = await mkdtemp(join(tmpdir(), "sluice-bench-"));
const log = await openEmbeddedLog({ dir, clock: systemClock, logger });
try {
  progress("processor: filling the log");
  await fill(log);
  print(
    {
      title: `${total} readings of ${options.devices} devices with ${METRICS.length} metrics, one a second, ${PARTITIONS} partitions, median of ${options.rounds} rounds`,
      rows: await compare(log),
      notes: [
        "A reading is one message with all metrics. One thread; CPU is that of the process, garbage collection included.",
        `Rollups of 10 s, 1 m, 1 h and 1 d with percentiles; a commit after every ${RECORDS_PER_COMMIT} readings (a replay counts them per partition).`,
        `live: ${LIVE_DEVICES} devices, a commit of each after every reading, measured once windows of a whole allowed lateness are open.`,
      ],
    },
    options.json,
  );
} finally {
  await log.close();
  await rm(dir, { recursive: true, force: true });
}
