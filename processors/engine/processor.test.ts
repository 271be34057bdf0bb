/** What must not be written once a partition is given up: found by simulation, held here step by step. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { pino } from "pino";
import { partitionForKey } from "../../adapters/log/partitioner.js";
import { SluiceError } from "../../contracts/errors.js";
import type { PartitionHandler, Subscription } from "../../contracts/ports/log.js";
import { type ReadingRecord, readingId } from "../../contracts/reading.js";
import { TOPICS } from "../../contracts/topics.js";
import { DEFAULT_RESOLUTIONS } from "../../contracts/window.js";
import { Registry } from "../../runtime/metrics.js";
import { MemoryLog, MemoryLogData, NO_FAULTS } from "../../testkit/memory-log.js";
import { MemoryCheckpoints, MemoryStateData } from "../../testkit/memory-state.js";
import { VirtualClock } from "../../testkit/virtual-clock.js";
import { Processor } from "./processor.js";

const T0 = Date.UTC(2026, 0, 1);
const TASK = { group: "g", topic: TOPICS.readings, partition: 0 };

/** A log whose subscriptions do nothing by themselves: the test calls the handler. */
class HandledLog extends MemoryLog {
  handler!: PartitionHandler;
  open = 0;
  end: (error: unknown) => void = () => {};
  /** Waited for by each subscribe. */
  gate: Promise<void> = Promise.resolve();

  override async subscribe(_group: string, _topic: string, handler: PartitionHandler): Promise<Subscription> {
    await this.gate;
    this.handler = handler;
    this.open++;
    let ended = () => {};
    const done = new Promise<void>((resolve, reject) => {
      ended = resolve;
      this.end = reject;
    });
    done.catch(() => undefined).finally(() => this.open--);
    return {
      done,
      lag: async () => 0,
      assigned: () => [0],
      close: async () => {
        ended();
        await turn();
      },
    };
  }
}

/** A processor with one record each of two devices, and what happens to its checkpoints in the test's hands. */
async function start() {
  const logData = new MemoryLogData();
  const log = new HandledLog(logData, partitionForKey);
  await log.ensureTopics(Object.values(TOPICS).map((name) => ({ name, partitions: 1 })));
  const records = ["d1", "d2"].map((deviceId) => {
    const body = { deviceId, ts: T0, values: { t: 1 } };
    const record: ReadingRecord = { v: 1, id: readingId(body, ""), ingestTs: T0, ...body };
    return { key: deviceId, value: Buffer.from(JSON.stringify(record)), timestamp: T0 };
  });
  await log.append(TOPICS.readings, records);
  const state = new MemoryStateData();
  const steps: string[] = [];
  const held = { release: () => {}, gate: undefined as Promise<void> | undefined };
  const faults = {
    ...NO_FAULTS,
    before: async (operation: string) => {
      steps.push(operation);
      if (operation !== "checkpoint.restore") await held.gate;
    },
  };
  const clock = new VirtualClock(T0);
  const processor = new Processor({
    ...{ log, clock, checkpoints: new MemoryCheckpoints(state, "atomic", faults), group: "g" },
    ...{ logger: pino({ level: "silent" }), registry: new Registry(), commitIntervalMs: 1_000 },
    operator: { resolutions: DEFAULT_RESOLUTIONS, allowedLatenessMs: 600_000, rules: [] },
    ...{ maxRecordsPerCommit: 1_000, maxDevicesInMemory: 10 },
  });
  /** Holds every checkpoint operation until the gate settles. */
  const hold = (then: () => void) => {
    held.gate = new Promise<void>((resolve) => {
      held.release = resolve;
    }).then(then);
    held.gate.catch(() => undefined);
  };
  await processor.start();
  return { log, logData, state, steps, hold, held, clock, processor };
}

test("a partition that was let go is not committed by a commit that waited meanwhile", async () => {
  const { log, logData, steps, hold, held, clock, processor } = await start();
  await log.handler.assigned(0);
  await log.handler.batch(0, logData.records(TOPICS.readings));
  hold(() => {
    throw new SluiceError("STORE_UNAVAILABLE", "away");
  });
  const revoked = assert.rejects(log.handler.revoked(0, "rebalanced"), { code: "STORE_UNAVAILABLE" });
  await clock.advance(1_000);
  held.release();
  await revoked;
  held.gate = undefined;
  await clock.advance(5_000);
  assert.deepEqual(steps, ["checkpoint.restore", "checkpoint.outputs"]);
  await processor.close();
});

test("a task that stopped half-way through its input is not committed", async () => {
  const { log, logData, state, hold, held, clock, processor } = await start();
  state.checkpoint(TASK, { offset: 0, state: new Map([["d2", Buffer.from("no state")]]) });
  await log.handler.assigned(0);
  hold(() => undefined);
  const failed = assert.rejects(log.handler.batch(0, logData.records(TOPICS.readings)), {
    code: "STATE_CORRUPT",
  });
  await clock.advance(1_000);
  held.release();
  await failed;
  await clock.advance(5_000);
  assert.equal(state.tasks.size, 0);
  assert.equal(state.rollups.size, 0);
  await processor.close();
});

test("a processor that is closed while it subscribes again leaves no subscription open", async () => {
  const { log, clock, processor } = await start();
  let release = () => {};
  log.gate = new Promise((resolve) => {
    release = resolve;
  });
  log.end(new SluiceError("LOG_UNAVAILABLE", "away"));
  await clock.advance(5_000);
  const closed = processor.close();
  await turn();
  release();
  await closed;
  await turn();
  assert.equal(log.open, 0);
});
