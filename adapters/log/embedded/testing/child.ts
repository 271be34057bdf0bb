/**
 * A process of its own that works on a log directory; the tests start it and talk to it in lines.
 *
 *     child.ts append <dir> <topic> <batches> <records per batch> <name>   "acked <n>" after each, "done"
 *     child.ts subscribe <dir> <group> <topic>                             "subscribed", then stays
 *     child.ts fill <dir> <topic>    "failed <code> <acked>", waits for a line, "working <acked> <read>", ends
 */
import { once } from "node:events";
import { SluiceError } from "../../../../contracts/errors.js";
import { systemClock } from "../../../../runtime/clock.js";
import { createLogger } from "../../../../runtime/logger.js";
import { type EmbeddedLog, openEmbeddedLog } from "../index.js";

const IN_FLIGHT = 4;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function append(log: EmbeddedLog, [topic, batches, size, name]: string[]): Promise<void> {
  let next = 0;
  const one = async () => {
    while (next < Number(batches)) {
      const batch = next++;
      const records = Array.from({ length: Number(size) }, (_, i) => ({
        value: Buffer.from(`${name}:${batch}:${i}`),
        timestamp: batch,
      }));
      await log.append(topic ?? "", records);
      say(`acked ${batch}`);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, one));
  say("done");
}

async function subscribe(log: EmbeddedLog, [group, topic]: string[]): Promise<void> {
  const subscription = await log.subscribe(group ?? "", topic ?? "", {
    assigned: async () => 0,
    batch: async () => {},
    revoked: async () => {},
    fellBehind: () => {},
  });
  say("subscribed");
  await subscription.done;
}

async function fill(log: EmbeddedLog, [topic = ""]: string[]): Promise<void> {
  const record = { value: Buffer.alloc(50_000, 1), timestamp: 1 };
  let acked = 0;
  try {
    for (;;) {
      await log.append(topic, [record]);
      acked++;
    }
  } catch (error) {
    say(`failed ${error instanceof SluiceError ? error.code : String(error)} ${acked}`);
  }
  await log.check().then(
    () => say("check passed"),
    (error: unknown) => say(`check ${error instanceof SluiceError ? error.code : String(error)}`),
  );
  await once(process.stdin, "data");
  await log.check();
  await log.append(topic, [record]);
  acked++;
  let read = 0;
  for await (const batch of log.read(topic, 0, 0)) read += batch.length;
  say(`working ${acked} ${read}`);
  process.stdin.destroy();
}

const [mode = "", dir = "", ...rest] = process.argv.slice(2);
const log = await openEmbeddedLog({ dir, clock: systemClock, logger: createLogger("silent") });
const modes: Record<string, typeof append> = { append, subscribe, fill };
await modes[mode]?.(log, rest);
await log.close();
