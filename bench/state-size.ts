/**
 * What a series costs in the processor: bytes in memory and bytes in the checkpoint, after more than a day of
 * readings, with and without the default learned detector.
 *
 * Run compiled: node dist/bench/state-size.js [--devices N] [--hours N] [--json]
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Alert } from "../contracts/alert.js";
import { DeviceOperator, type OperatorOptions } from "../processors/engine/device-operator.js";
import { optionsOf, print, progress, type Report, rounded } from "./support/measure.js";
import { OPERATORS } from "./support/operator.js";
import { METRICS, Readings } from "./support/readings.js";

const INTERVALS_MS = [10_000, 60_000];
/** Event time between two flushes: what changed since the last one is part of the state. */
const FLUSH_MS = 3_600_000;
const HOUR_MS = 3_600_000;
const WARMUP_ROUNDS = 3_000;
/** Environment variable that tells a child which case to measure. */
const CASE = "BENCH_STATE_CASE";

const options = optionsOf({ devices: 50, hours: 26 });

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Objects and the buffers behind typed arrays, after a full collection. */
function memoryBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Compiled code and what modules keep for themselves are no state of a series. */
function warmUp(operator: OperatorOptions, intervalMs: number): void {
  const readings = new Readings({ devices: 1, intervalMs });
  const one = DeviceOperator.create("device-0", operator);
  for (let round = 0; round < WARMUP_ROUNDS; round++) one.step(round, readings.round(round)[0]!, []);
  one.flush();
  one.save();
}

function measure(operator: OperatorOptions, intervalMs: number): Record<string, number> {
  const readings = new Readings({ devices: options.devices, intervalMs });
  const alerts: Alert[] = [];
  warmUp(operator, intervalMs);
  const before = memoryBytes();
  const operators = Array.from({ length: options.devices }, (_, i) =>
    DeviceOperator.create(`device-${i}`, operator),
  );
  const rounds = Math.ceil((options.hours * HOUR_MS) / intervalMs);
  for (let round = 0; round < rounds; round++) {
    const flush = (round * intervalMs) % FLUSH_MS === 0;
    for (const [i, reading] of readings.round(round).entries()) {
      operators[i]!.step(round, reading, alerts);
      if (flush) operators[i]!.flush();
    }
  }
  for (const one of operators) one.flush();
  alerts.length = 0;
  const grownBytes = memoryBytes() - before;
  const savedBytes = operators.reduce((sum, one) => sum + one.save().byteLength, 0);
  const series = options.devices * METRICS.length;
  return {
    "in memory, B per series": rounded(grownBytes / series),
    "checkpoint, B per series": rounded(savedBytes / series),
    "in memory, B per device": rounded(grownBytes / options.devices),
    "checkpoint, B per device": rounded(savedBytes / options.devices),
  };
}

type Kind = keyof typeof OPERATORS;

/** Each case in a process of its own, so that the heap of one does not blur the next. */
async function inChild(kind: Kind, intervalMs: number): Promise<Record<string, number>> {
  const size = ["--devices", String(options.devices), "--hours", String(options.hours)];
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url), ...size], {
    env: { ...process.env, [CASE]: JSON.stringify([kind, intervalMs]) },
  });
  return JSON.parse(stdout) as Record<string, number>;
}

async function compare(): Promise<void> {
  const rows: Report["rows"] = {};
  for (const intervalMs of INTERVALS_MS) {
    for (const kind of Object.keys(OPERATORS) as Kind[]) {
      progress(`state: ${kind}, one reading per ${intervalMs / 1_000} s`);
      rows[`one reading per ${intervalMs / 1_000} s, ${kind}`] = await inChild(kind, intervalMs);
    }
  }
  progress("");
  print(
    {
      title: `State of ${options.devices} devices with ${METRICS.length} metrics after ${options.hours} h of event time`,
      rows,
      notes: [
        "Memory: growth of V8's heap and of array buffers over a full garbage collection, everything of the operator included.",
        "Checkpoint: DeviceOperator.save(), which is what a commit writes for every device that spoke since the last one.",
      ],
    },
    options.json,
  );
}

const only = process.env[CASE];
if (only === undefined) await compare();
else {
  const [kind, intervalMs] = JSON.parse(only) as [Kind, number];
  process.stdout.write(JSON.stringify(measure(OPERATORS[kind], intervalMs)));
}
