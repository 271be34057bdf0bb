/**
 * `sluice replay`: run the operators over a retained range of the log once more, at full speed, into a store of choice.
 */
import { createHash } from "node:crypto";
import type { Command } from "commander";
import { openEmbeddedState } from "../../adapters/store/embedded/index.js";
import { SluiceError } from "../../contracts/errors.js";
import type { Log, Offset } from "../../contracts/ports/log.js";
import type { Store, StoreBatch } from "../../contracts/ports/store.js";
import { type Rollup, rollupKey } from "../../contracts/rollup.js";
import { TOPICS } from "../../contracts/topics.js";
import { type ReplayRange, replay } from "../../processors/engine/replay.js";
import { rangesFor } from "../../processors/reconcile/replay-range.js";
import type { Config } from "../../runtime/config/schema.js";
import { createLogger } from "../../runtime/logger.js";
import { operatorOptions } from "../app.js";
import { Eta } from "../eta.js";
import { Progress, printJson, printLine } from "../output.js";
import { openStore } from "../ports.js";
import { withSettings } from "../settings.js";
import { type Point, parsePoint } from "../time-or-offset.js";
import { withLog } from "../with-log.js";
import { writeAll } from "../write-all.js";

interface ReplayCommand {
  from: string;
  to?: string;
  into: string;
  json?: boolean;
}

export function replayCommand(program: Command): void {
  withSettings(
    program
      .command("replay")
      .description("run the operators over the retained log again, beside live processing")
      .option(
        "--from <time|offset>",
        "first window (ISO 8601 or epoch ms), or first offset of every partition",
        "0",
      )
      .option("--to <time|offset>", "stop before this ingest time or offset; the end of the log when absent")
      .option("--into <store>", "embedded:DIR, influxdb:URL, questdb:URL, or none to compute only", "none")
      .option("--json", "one JSON document on stdout"),
  ).action((_options, command: Command) =>
    withLog(command, (log, config) => run(command.opts(), log, config)),
  );
}

async function run(options: ReplayCommand, log: Log, config: Config): Promise<void> {
  const from = parsePoint(options.from, "--from");
  const to = options.to === undefined ? undefined : parsePoint(options.to, "--to");
  const ranges = await offsets(log, config, from, to);
  const target = openTarget(options.into, config);
  const rollups = new Map<string, Rollup>();
  const progress = new Progress();
  const eta = new Eta();
  try {
    const counters = await replay({
      ...{ log, logger: createLogger("warn"), operator: operatorOptions(config), ranges },
      onProgress: (done, total) => progress.show(`replaying  ${eta.text(done, total)}`),
      write: async (batch) => {
        const wanted = from.kind === "time" ? since(batch, from.ms) : batch;
        for (const rollup of wanted.rollups) rollups.set(rollupKey(rollup), rollup);
        if (target) await writeAll(target.store, wanted);
      },
    });
    progress.clear();
    const { processed, counted, duplicates, late, poison } = counters;
    const result = {
      processed,
      counted,
      duplicates,
      late,
      poison,
      rollups: rollups.size,
      digest: digestOf(rollups),
    };
    if (options.json) return printJson(result);
    for (const [name, value] of Object.entries(result)) printLine(`${name.padEnd(11)}${value}`);
  } finally {
    await target?.close();
  }
}

/** Only windows from the asked time on: those before are complete in the log, but not in what was read. */
function since(batch: StoreBatch, fromMs: number): StoreBatch {
  return { ...batch, rollups: batch.rollups.filter((rollup) => rollup.start >= fromMs) };
}

async function offsets(log: Log, config: Config, from: Point, to: Point | undefined): Promise<ReplayRange[]> {
  const { resolutions, allowedLatenessMs } = operatorOptions(config);
  const begin =
    from.kind === "time"
      ? (await rangesFor(log, from.ms, { resolutions, allowedLatenessMs }, config.ingest.maxClockSkew)).ranges
      : (await log.ranges(TOPICS.readings)).map(({ partition, earliest, next }) => ({
          ...{ partition, to: next },
          from: Math.min(next, Math.max(earliest, from.offset)),
        }));
  return Promise.all(
    begin.map(async (range) => ({ ...range, to: Math.max(range.from, await end(log, range, to)) })),
  );
}

async function end(log: Log, { partition, to }: ReplayRange, limit: Point | undefined): Promise<Offset> {
  if (limit === undefined) return to;
  const offset =
    limit.kind === "offset" ? limit.offset : await log.offsetForTime(TOPICS.readings, partition, limit.ms);
  return Math.min(to, offset);
}

function openTarget(into: string, config: Config): { store: Store; close(): Promise<void> } | undefined {
  if (into === "none") return undefined;
  const [kind, ...rest] = into.split(":");
  const place = rest.join(":");
  const logger = createLogger("warn");
  if (place !== "" && kind === "embedded") return openEmbeddedState({ dir: place, logger });
  if (place !== "" && (kind === "influxdb" || kind === "questdb")) {
    const store = openStore({
      config: { ...config, influx: { ...config.influx, url: place, dialect: kind } },
      logger,
    });
    return { store, close: () => store.close() };
  }
  throw new SluiceError(
    "CONFIG_INVALID",
    `--into: ${into} is none of embedded:DIR, influxdb:URL, questdb:URL, none`,
  );
}

/** One value for all rollups: two replays of one range give the same. */
function digestOf(rollups: ReadonlyMap<string, Rollup>): string {
  const digest = createHash("sha256");
  for (const key of [...rollups.keys()].sort()) digest.update(`${JSON.stringify(rollups.get(key))}\n`);
  return digest.digest("hex");
}
