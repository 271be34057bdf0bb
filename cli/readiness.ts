/**
 * Is this process fit for work, and if not, why: what `/readyz` answers.
 */
import type { ApiSources } from "../api/server.js";
import type { Log } from "../contracts/ports/log.js";
import type { Store } from "../contracts/ports/store.js";
import type { Processor } from "../processors/engine/processor.js";

export function readiness(log: Log, store: Store, running: { processor?: Processor }): ApiSources["ready"] {
  return async () => {
    const checks = [await checked("log", () => log.check()), await checked("store", () => store.check())];
    if (running.processor) {
      const problem = running.processor.problem();
      checks.push({ name: "processor", ok: problem === undefined, detail: problem ?? "processing" });
    }
    return { ok: checks.every((check) => check.ok), checks };
  };
}

async function checked(
  name: string,
  check: () => Promise<void>,
): Promise<{ name: string; ok: boolean; detail: string }> {
  try {
    await check();
    return { name, ok: true, detail: "reachable" };
  } catch (error) {
    return { name, ok: false, detail: (error as Error).message };
  }
}
