/**
 * Processors as real processes that share a group: they come, go, are killed and are frozen while two gateways append.
 * In the end every reading counts once, as the plain model says.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type Child, startChild } from "../../adapters/checkpoint/kafka/testing/child.js";
import { openKafkaLog } from "../../adapters/log/kafka/index.js";
import { missingForKafka, TestBroker } from "../../adapters/log/kafka/testing/broker.js";
import type { ReadingRecord } from "../../contracts/reading.js";
import { type Rollup, rollupKey } from "../../contracts/rollup.js";
import { TOPICS } from "../../contracts/topics.js";
import { DEFAULT_RESOLUTIONS } from "../../contracts/window.js";
import { systemClock } from "../../runtime/clock.js";
import { createLogger } from "../../runtime/logger.js";
import { referenceRollups } from "../../testkit/reference-model.js";
import type { ProcessorStatus } from "./kafka-processor.js";
import { readingsAt } from "./kafka-readings.js";

const PARTITIONS = 6;
const WAIT_LIMIT_MS = 60_000;
const missing = missingForKafka();
if (missing !== undefined) console.error(missing);

describe("processors on Kafka", { skip: missing }, () => {
  let broker: TestBroker;
  let dir: string;
  const children: Child[] = [];
  before(async () => {
    broker = await TestBroker.start();
    dir = await mkdtemp(join(tmpdir(), "sluice-processors-"));
  });
  after(async () => {
    await Promise.all(children.map((child) => child.stop("SIGKILL")));
    await broker?.stop();
    if (dir) await rm(dir, { recursive: true, force: true });
  });

  const start = (name: string, args: string[]): Child => {
    const child = startChild(import.meta.url, name, [broker.brokers.join(), ...args]);
    children.push(child);
    return child;
  };
  const startProcessor = () => start("kafka-processor", ["group", join(dir, "store.jsonl")]);

  it("count every reading once while they join, leave, are killed and are frozen", async () => {
    const log = await openKafkaLog({
      ...{ brokers: broker.brokers, clientId: "test", clock: systemClock },
      logger: createLogger("silent"),
    });
    await log.ensureTopics(Object.values(TOPICS).map((name) => ({ name, partitions: PARTITIONS })));
    const gateways = [start("kafka-gateway", ["0"]), start("kafka-gateway", ["1"])];

    const first = startProcessor();
    await shared([first]);
    const second = startProcessor();
    await shared([first, second]);
    const third = startProcessor();
    await shared([first, second, third]);
    await second.stop("SIGKILL");
    await shared([first, third]);
    await freezeBetweenCommits(third);
    await shared([first]);
    third.process.kill("SIGCONT");
    await shared([first, third]);
    assert.equal((await third.stop()).code, 0);
    await shared([first]);

    const sent = await Promise.all(gateways.map((gateway) => finish(gateway)));
    const appended = sent.flatMap((count, i) => upTo(count).flatMap((index) => readingsAt(i, index)));
    const ranges = await log.ranges(TOPICS.readings);
    await log.close();
    const inLog = ranges.reduce((sum, { earliest, next }) => sum + next - earliest, 0);
    assert.equal(inLog, appended.length, "records in the log");
    await until(`everything is processed: ${inLog}`, () => {
      const { counters, uncommitted } = status(first)!;
      return counters.processed === inLog && uncommitted === 0;
    });
    assert.equal((await first.stop()).code, 0);

    const unique = new Set(appended.map((reading) => reading.id)).size;
    assert.ok(unique < inLog, "there were re-sends");
    const { processed, counted, duplicates, late, poison } = status(first)!.counters;
    assert.deepEqual(
      { processed, counted, duplicates, late, poison },
      { processed: inLog, counted: unique, duplicates: inLog - unique, late: 0, poison: 0 },
    );
    await compare(appended);
  });

  /** Waits until exactly these processors have all partitions, share them evenly, and commit. */
  async function shared(live: Child[]): Promise<void> {
    const share = PARTITIONS / live.length;
    await until(`${live.length} processors have ${share} partitions each`, () =>
      live.every((processor) => status(processor)?.partitions === share),
    );
    const before = live.map((processor) => status(processor)!.commits);
    await until("each of them commits", () =>
      live.every((processor, i) => status(processor)!.commits >= before[i]! + 2 * share),
    );
  }

  /** In mid-commit its outputs might be on their way to the store: that gap cannot be closed. */
  async function freezeBetweenCommits(processor: Child): Promise<void> {
    const { commits } = status(processor)!;
    await until("another round of commits", () => status(processor)!.commits > commits);
    await systemClock.sleep(200);
    processor.process.kill("SIGSTOP");
  }

  async function compare(appended: ReadingRecord[]): Promise<void> {
    const stored = new Map<string, Rollup>();
    for (const rollup of await rowsOf(join(dir, "store.jsonl"))) stored.set(rollupKey(rollup), rollup);
    const expected = referenceRollups(appended, DEFAULT_RESOLUTIONS);
    assert.deepEqual(sorted([...stored.values()]), sorted(expected));
  }
});

function status(processor: Child): ProcessorStatus | undefined {
  const line = processor.lines.at(-1);
  return line === undefined ? undefined : (JSON.parse(line) as ProcessorStatus);
}

async function finish(gateway: Child): Promise<number> {
  assert.equal((await gateway.stop()).code, 0);
  return Number(gateway.lines.at(-1)!.replace("sent ", ""));
}

/** A killed process may leave its last line torn: whatever it wrote there was not committed. */
async function rowsOf(path: string): Promise<Rollup[]> {
  const lines = (await readFile(path, "utf8")).split("\n");
  return lines.slice(0, -1).map((line) => JSON.parse(line) as Rollup);
}

/** Percentiles are within a stated error of the model's, which is for the operator's own tests. */
function sorted(rollups: Rollup[]): string[] {
  return rollups.map(({ p50: _p50, p95: _p95, p99: _p99, ...exact }) => canonical(exact)).sort();
}

function canonical(rollup: object): string {
  return JSON.stringify(Object.entries(rollup).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const giveUpAt = Date.now() + WAIT_LIMIT_MS;
  while (!condition()) {
    if (Date.now() > giveUpAt) assert.fail(`waited in vain: ${what}`);
    await systemClock.sleep(50);
  }
}
