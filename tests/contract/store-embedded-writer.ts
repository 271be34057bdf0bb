/**
 * Run as a child process: writes to an embedded state until it is killed, and prints each acknowledged count; when a
 * write is refused, prints its code, waits for whatever may come of it, and ends.
 * usage: store-embedded-writer DIR store|checkpoints DEVICE
 */
import { openEmbeddedState } from "../../adapters/store/embedded/index.js";
import type { SluiceError } from "../../contracts/errors.js";
import { createLogger } from "../../runtime/logger.js";
import { alert, rollup, summary } from "../../testkit/contracts/store-suite.js";

const [dir, what, device] = process.argv.slice(2) as [string, string, string];
const task = { group: "g", topic: "t", partition: 0 };
const { store, checkpoints, close } = openEmbeddedState({ dir, logger: createLogger("error") });

const first = what === "checkpoints" ? ((await checkpoints.restore(task)).offset ?? 0) : 0;
for (let done = first + 1; ; done++) {
  try {
    await writeOne(done);
  } catch (error) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    process.stdout.write(`${(error as SluiceError).code}\n`);
    await close();
    break;
  }
  process.stdout.write(`${done}\n`);
}

async function writeOne(done: number): Promise<void> {
  const batch = {
    rollups: [rollup(device, { start: done * 10_000 })],
    alerts: [alert(device, "shared", { updatedAt: done })],
    devices: [summary(device, { readings: done })],
  };
  if (what === "store") await store.write(batch);
  else {
    const state = new Map([["offset", Buffer.from(String(done))]]);
    await checkpoints.commit(task, { offset: done, state }, batch);
  }
}
