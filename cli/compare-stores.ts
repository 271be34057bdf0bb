/**
 * One log, three stores: replays the log into the embedded store and into QuestDB, and holds both against what live
 * processing wrote to InfluxDB. All must be equal, field by field.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEmbeddedState } from "../adapters/store/embedded/index.js";
import { SluiceError } from "../contracts/errors.js";
import type { Log } from "../contracts/ports/log.js";
import type { Store } from "../contracts/ports/store.js";
import { type Rollup, rollupKey } from "../contracts/rollup.js";
import { TOPICS } from "../contracts/topics.js";
import type { Resolution } from "../contracts/window.js";
import { replay } from "../processors/engine/replay.js";
import { compareRollups } from "../processors/reconcile/compare.js";
import { systemClock } from "../runtime/clock.js";
import type { Config } from "../runtime/config/schema.js";
import type { Logger } from "../runtime/logger.js";
import { operatorOptions } from "./app.js";
import { printLine } from "./output.js";
import { openStore, resolutionsOf } from "./ports.js";
import type { Server } from "./servers.js";
import { writeAll } from "./write-all.js";

/** How long a server may take to show what it accepted. */
const VISIBLE_WITHIN_MS = 60_000;

/** @throws SluiceError LEDGER_MISMATCH when two stores differ */
export async function compareStores(
  config: Config,
  log: Log,
  questdb: Server,
  logger: Logger,
): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "sluice-compare-"));
  const embedded = openEmbeddedState({ dir, logger });
  const influx = { ...config.influx, url: String(questdb.info.url), token: "", dialect: "questdb" as const };
  const quest = openStore({ config: { ...config, influx }, logger });
  const live = openStore({ config, logger });
  try {
    const expected = await replayInto(config, log, logger, [embedded.store, quest]);
    for (const [name, store] of [
      ["embedded", embedded.store],
      ["QuestDB", quest],
      ["InfluxDB", live],
    ] as const) {
      await assertEqual(name, store, expected, resolutionsOf(config));
      printLine(`${name.padEnd(9)} holds the same ${expected.size} rollups, field by field`);
    }
  } finally {
    await live.close();
    await quest.close();
    await embedded.close();
    await rm(dir, { recursive: true, force: true });
  }
}

/** Writes what the log gives to every store; returns it. */
async function replayInto(
  config: Config,
  log: Log,
  logger: Logger,
  stores: readonly Store[],
): Promise<Map<string, Rollup>> {
  const rollups = new Map<string, Rollup>();
  const ranges = await log.ranges(TOPICS.readings);
  await replay({
    ...{ log, logger },
    operator: operatorOptions(config),
    ranges: ranges.map(({ partition, earliest, next }) => ({ partition, from: earliest, to: next })),
    write: async (batch) => {
      for (const rollup of batch.rollups) rollups.set(rollupKey(rollup), rollup);
      for (const store of stores) await writeAll(store, batch);
    },
  });
  return rollups;
}

async function assertEqual(
  name: string,
  store: Store,
  expected: ReadonlyMap<string, Rollup>,
  resolutions: readonly Resolution[],
): Promise<void> {
  const deadline = systemClock.monotonicMs() + VISIBLE_WITHIN_MS;
  const range = { store, resolutions, fromMs: 0, toMs: Number.MAX_SAFE_INTEGER };
  for (;;) {
    const [first] = await compareRollups(expected, range);
    if (!first) return;
    if (systemClock.monotonicMs() > deadline) {
      const difference = `${first.key} ${first.field}: ${first.store}, not ${first.log}`;
      throw new SluiceError("LEDGER_MISMATCH", `${name} differs: ${difference}`);
    }
    await systemClock.sleep(500);
  }
}
