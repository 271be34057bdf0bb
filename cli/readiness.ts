/**
 * Is this process fit for work, and if not, why: what `/readyz` answers and `sluice_ready` shows.
 *
 * Guarantee: an answer comes within {@link CHECK_LIMIT_MS}, also when what is checked does not answer.
 */
import type { ApiSources } from "../api/server.js";
import type { Log } from "../contracts/ports/log.js";
import type { Store } from "../contracts/ports/store.js";
import type { Processor } from "../processors/engine/processor.js";
import type { Config } from "../runtime/config/schema.js";
import { Gauge, type Registry } from "../runtime/metrics.js";
import { diskFull, diskSpace, sizeText } from "./disk.js";

/** Under the time a prober or Prometheus waits (10 s). */
const CHECK_LIMIT_MS = 5_000;

export interface ReadinessOptions {
  config: Pick<Config, "log" | "store" | "dataDir">;
  log: Pick<Log, "check">;
  store: Pick<Store, "check">;
  running: { starting?: boolean; processor?: Pick<Processor, "problem"> };
  /** The counters of the process; `lag` and `uncommitted` are told where a processor runs. */
  stats: () => Record<string, unknown>;
  registry: Registry;
  /** Room on the disk of a folder; replaced in tests. */
  space?: typeof diskSpace;
}

interface Check {
  name: string;
  ok: boolean;
  detail: string;
}

export function readiness(options: ReadinessOptions): ApiSources["ready"] {
  const ready = async () => {
    const checks = await Promise.all(checksOf(options));
    return { ok: checks.every((check) => check.ok), checks };
  };
  new Gauge({
    name: "sluice_ready",
    help: "1 for each check of /readyz that is passed, 0 for one that is not",
    labelNames: ["check"],
    registers: [options.registry],
    async collect() {
      const { checks } = await ready();
      // A check that is over, such as that of the start, is no longer shown.
      this.reset();
      for (const { name, ok } of checks) this.set({ check: name }, ok ? 1 : 0);
    },
  });
  return ready;
}

function checksOf({
  config,
  log,
  store,
  running,
  stats,
  space = diskSpace,
}: ReadinessOptions): Promise<Check>[] {
  const checks = [
    checked("log", async () => {
      await log.check();
      return "reachable";
    }),
    checked("store", async () => {
      await store.check();
      return "reachable";
    }),
  ];
  if (config.log === "embedded" || config.store === "embedded") {
    checks.push(checked("disk", () => roomOf(config.dataDir, space)));
  }
  if (running.starting) checks.push(checked("start", () => Promise.reject(new Error("waiting for the log"))));
  const { processor } = running;
  if (processor) checks.push(checked("processor", async () => processing(processor, stats())));
  return checks;
}

async function roomOf(dataDir: string, space: typeof diskSpace): Promise<string> {
  const found = await space(dataDir);
  const full = diskFull(found);
  if (full !== undefined) throw new Error(`the disk of ${dataDir} is ${full}`);
  return `${sizeText(found.freeBytes)} free`;
}

/** Being behind is told and is no failure: a processor that catches up is fit for work. */
function processing(processor: Pick<Processor, "problem">, stats: Record<string, unknown>): string {
  const problem = processor.problem();
  if (problem !== undefined) throw new Error(problem);
  return `processing: ${stats.lag ?? 0} records wait, ${stats.uncommitted ?? 0} are processed and not in the store yet`;
}

async function checked(name: string, check: () => Promise<string>): Promise<Check> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    const error = new Error(`no answer within ${CHECK_LIMIT_MS / 1_000} s`);
    timer = setTimeout(() => reject(error), CHECK_LIMIT_MS);
  });
  try {
    return { name, ok: true, detail: await Promise.race([check(), limit]) };
  } catch (error) {
    return { name, ok: false, detail: (error as Error).message };
  } finally {
    clearTimeout(timer);
  }
}
