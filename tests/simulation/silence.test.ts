/**
 * Silence, live and again: devices fall silent while a processor lives, crashes and restarts on a virtual clock. What it
 * fired by the wall clock at the end of the log, a replay of the log fires as well: same alerts, ids and times (INV-7).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { partitionForKey } from "../../adapters/log/partitioner.js";
import type { Alert } from "../../contracts/alert.js";
import { type ReadingRecord, readingId } from "../../contracts/reading.js";
import { TOPICS } from "../../contracts/topics.js";
import { DEFAULT_RESOLUTIONS } from "../../contracts/window.js";
import { checkRules } from "../../processors/alerting/rules.js";
import type { OperatorOptions } from "../../processors/engine/device-operator.js";
import { Processor, SILENCE_GRACE_MS } from "../../processors/engine/processor.js";
import { replay } from "../../processors/engine/replay.js";
import { reconcile } from "../../processors/reconcile/reconcile.js";
import { Registry } from "../../runtime/metrics.js";
import { MemoryLog, MemoryLogData } from "../../testkit/memory-log.js";
import { MemoryCheckpoints, MemoryStateData, MemoryStore } from "../../testkit/memory-state.js";
import { type Rng, seededRng } from "../../testkit/rng.js";
import { ProcessClock, VirtualClock } from "../../testkit/virtual-clock.js";
import { SILENT, START } from "./world.js";

const MINUTE = 60_000;
const DEVICES = 6;
const RULES = checkRules(
  [
    { name: "device-silent", detector: "silence", params: { after: "2m" } },
    { name: "long-silent", detector: "silence", params: { after: "7m" }, severity: "critical" },
    { name: "metric-silent", detector: "silence", metric: "b", params: { after: "3m", watch: "metric" } },
    { name: "hot", detector: "range", params: { above: 28 } },
  ],
  "rules",
).rules!;
const OPERATOR: OperatorOptions = {
  ...{ resolutions: DEFAULT_RESOLUTIONS, allowedLatenessMs: 10 * MINUTE },
  rules: RULES,
};

class Live {
  readonly clock = new VirtualClock(START);
  readonly logData = new MemoryLogData();
  readonly state = new MemoryStateData();
  #processes: {
    log: MemoryLog;
    checkpoints: MemoryCheckpoints;
    clock: ProcessClock;
    processor: Processor;
  }[] = [];

  constructor(readonly rng: Rng) {}

  log(): MemoryLog {
    return new MemoryLog(this.logData, partitionForKey);
  }

  async start(state = this.state): Promise<Processor> {
    const log = this.log();
    const checkpoints = new MemoryCheckpoints(state, "outputs-first");
    const clock = new ProcessClock(this.clock);
    const processor = new Processor({
      ...{
        log,
        checkpoints,
        clock,
        logger: SILENT,
        registry: new Registry(),
        group: "g",
        operator: OPERATOR,
      },
      ...{ commitIntervalMs: 1_000, maxRecordsPerCommit: 50, maxDevicesInMemory: 2 },
    });
    this.#processes.push({ log, checkpoints, clock, processor });
    await processor.start();
    return processor;
  }

  kill(): void {
    const { log, checkpoints, clock } = this.#processes.pop()!;
    for (const part of [log, checkpoints, clock]) part.kill();
  }

  async stop(): Promise<void> {
    let stopped = false;
    void this.#processes
      .pop()!
      .processor.close()
      .then(() => {
        stopped = true;
      });
    await this.clock.runUntil(() => stopped, MINUTE);
  }

  async send(device: string): Promise<void> {
    const { rng, clock } = this;
    const values = { a: 20 + rng.int(10), ...(rng.next() < 0.5 ? { b: rng.next() } : {}) };
    const body = { deviceId: device, ts: clock.now() - rng.int(5_000), values };
    const reading: ReadingRecord = { v: 1, id: readingId(body, ""), ingestTs: clock.now(), ...body };
    const value = Buffer.from(JSON.stringify(reading));
    await this.log().append(TOPICS.readings, [{ key: device, value, timestamp: reading.ingestTs }]);
  }

  transitions(): string[] {
    return this.alerts()
      .filter(({ corrected }) => !corrected)
      .map(({ id, state }) => `${id} ${state}`);
  }

  alerts(): Alert[] {
    return this.logData
      .records(TOPICS.alerts)
      .map(({ value }) => JSON.parse(Buffer.from(value).toString()) as Alert);
  }
}

/** Twenty minutes of devices that come and go, then half an hour in which none does. */
async function lived(seed: number): Promise<Live> {
  const live = new Live(seededRng(seed));
  await live.log().ensureTopics(Object.values(TOPICS).map((name) => ({ name, partitions: 2 })));
  await live.start();
  const quietUntil = Array.from({ length: DEVICES }, () => START);
  while (live.clock.now() < START + 20 * MINUTE) {
    await live.clock.advance(1 + live.rng.int(20_000));
    for (let device = 0; device < DEVICES; device++) {
      if (quietUntil[device]! > live.clock.now()) continue;
      await live.send(`d${device}`);
      if (live.rng.next() < 0.1) quietUntil[device] = live.clock.now() + live.rng.int(12 * MINUTE);
    }
    if (live.rng.next() < 0.1) {
      if (live.rng.next() < 0.5) live.kill();
      else await live.stop();
      if (live.rng.next() < 0.3) await live.clock.advance(live.rng.int(4 * MINUTE));
      await live.start();
    }
  }
  await live.clock.advance(30 * MINUTE);
  return live;
}

function byId(alerts: Iterable<Alert>): Alert[] {
  return [...alerts].sort((a, b) => (a.id < b.id ? -1 : 1));
}

test("silences fired at the live end of the log are those of a replay", async () => {
  let fired = 0;
  for (let seed = 1; seed <= 12; seed++) {
    const live = await lived(seed);
    await live.stop();
    const transitions = live.transitions();
    assert.equal(new Set(transitions).size, transitions.length, `seed ${seed}: each transition once`);
    const again = new MemoryStateData();
    const ranges = await live.log().ranges(TOPICS.readings);
    await replay({
      ...{ log: live.log(), logger: SILENT, operator: OPERATOR, recordsPerWrite: 10, maxDevicesInMemory: 2 },
      ranges: ranges.map(({ partition, earliest, next }) => ({ partition, from: earliest, to: next })),
      nowMs: live.clock.now() - SILENCE_GRACE_MS,
      write: async (batch) => again.put(batch),
    });
    const stored = byId(live.state.alerts.values());
    assert.deepEqual(stored, byId(again.alerts.values()), `seed ${seed}`);
    fired += stored.filter(({ detector }) => detector === "silence").length;

    const { differences } = await reconcile({
      ...{ log: live.log(), store: new MemoryStore(live.state), clock: live.clock, logger: SILENT },
      ...{ operator: OPERATOR, fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, maxClockSkewMs: 0, settleMs: 0 },
      repair: false,
    });
    assert.deepEqual(differences, [], `seed ${seed}: reconcile`);

    // A processor that has lost its state adds nothing to the topic.
    const fresh = new MemoryStateData();
    await live.start(fresh);
    await live.clock.advance(MINUTE);
    await live.stop();
    assert.deepEqual(byId(fresh.alerts.values()), stored, `seed ${seed}: rebuilt`);
    assert.deepEqual(live.transitions(), transitions, `seed ${seed}: rebuilt topic`);
  }
  assert.ok(fired > 150, `${fired} silences`);
});

test("every silence that lasted is told of within the grace and two commits, at its own time", async () => {
  const live = new Live(seededRng(1));
  await live.log().ensureTopics(Object.values(TOPICS).map((name) => ({ name, partitions: 2 })));
  await live.start();
  await live.send("d1");
  const heardAt = live.clock.now();
  await live.clock.advance(2 * MINUTE + SILENCE_GRACE_MS - 2_000);
  assert.deepEqual(live.alerts(), []);
  await live.clock.advance(5_000);
  const [alert] = live.alerts();
  assert.deepEqual(
    [alert?.rule, alert?.device, alert?.metric, alert?.startedAt, alert?.value],
    ["device-silent", "d1", "-", heardAt + 2 * MINUTE, 120],
  );
  assert.equal(alert?.summary, "d1 has sent nothing for 2 min");
  await live.send("d1");
  const backAt = live.clock.now();
  await live.clock.advance(2_000);
  const [, resolved] = live.alerts().filter(({ id }) => id === alert!.id);
  assert.deepEqual([resolved?.state, resolved?.resolvedAt], ["resolved", backAt]);
  await live.stop();
});
