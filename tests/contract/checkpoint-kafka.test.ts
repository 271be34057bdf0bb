/**
 * Checkpoints on a real Kafka: the contract suite, and what only a broker can show: fencing, aborted transactions,
 * owners killed in mid-commit, compaction.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { changelogTopic } from "../../adapters/checkpoint/kafka/entries.js";
import { openKafkaCheckpoints } from "../../adapters/checkpoint/kafka/index.js";
import {
  change,
  contents,
  eventually,
  fenced,
  logger,
  start,
  unavailable,
  withBroker,
} from "../../adapters/checkpoint/kafka/testing/harness.js";
import { intrude } from "../../adapters/checkpoint/kafka/testing/intruder.js";
import { missingForKafka, topicSettings, withAdmin } from "../../adapters/log/kafka/testing/broker.js";
import { EMPTY_BATCH } from "../../adapters/store/batch.js";
import { hasCode, SluiceError } from "../../contracts/errors.js";
import { systemClock } from "../../runtime/clock.js";
import { checkpointContractSuite } from "../../testkit/contracts/checkpoint-suite.js";
import { summary } from "../../testkit/contracts/store-suite.js";
import { MemoryStateData, MemoryStore } from "../../testkit/memory-state.js";

const missing = missingForKafka();

if (missing !== undefined) {
  console.error(missing);
  describe("checkpoint contract: kafka", { skip: missing }, () => {});
} else {
  checkpointContractSuite("kafka", openSuite);
  describe("checkpoints on kafka: ownership", ownershipTests);
  describe("checkpoints on kafka: crashes", crashTests);
  describe("checkpoints on kafka: changelogs", changelogTests);
}

async function openSuite() {
  const { brokers, broker } = await start();
  const store = new MemoryStore(new MemoryStateData());
  const open = (clientId: string) =>
    openKafkaCheckpoints({ brokers, clientId, clock: systemClock, logger }).withOutputs(store, {
      onRejected: async () => assert.fail("the memory store refuses nothing"),
    });
  const [checkpoints, rival] = [open("contract"), open("rival")];
  return {
    ...{ checkpoints, rival, store },
    close: async () => {
      await Promise.all([checkpoints.close(), rival.close()]);
      await broker.stop();
    },
  };
}

function ownershipTests(): void {
  const kafka = withBroker();

  it("keeps out an owner that was replaced, whatever it tries, and lets the new one work", async () => {
    const task = kafka.task();
    const [old, rival] = [kafka.open(), kafka.open()];
    await old.restore(task);
    await old.commit(task, change(1, { a: "1" }), EMPTY_BATCH);
    await rival.restore(task);
    await assert.rejects(old.commit(task, change(2, { a: "2" }), EMPTY_BATCH), fenced);
    await assert.rejects(old.discard(task), fenced);
    await rival.commit(task, change(3, { b: "3" }), EMPTY_BATCH);
    await assert.rejects(old.commit(task, change(4, { a: "4" }), EMPTY_BATCH), fenced);
    const restored = await old.restore(task);
    assert.equal(restored.offset, 3);
    assert.deepEqual(contents(restored), { a: "1", b: "3" });
    await assert.rejects(rival.commit(task, change(5, {}), EMPTY_BATCH), fenced);
  });

  it("lets exactly one of two owners go on when both take over at once, again and again", async () => {
    const task = kafka.task();
    const both = [kafka.open(), kafka.open()];
    const committed: number[] = [];
    for (let round = 0; round < 5; round++) {
      await Promise.allSettled(both.map((one) => one.restore(task)));
      const offsets = both.map((_, i) => round * 10 + i + 1);
      const results = await Promise.allSettled(
        both.map((one, i) =>
          one.commit(task, change(offsets[i]!, { last: String(offsets[i]) }), EMPTY_BATCH),
        ),
      );
      for (const result of results) {
        if (result.status === "rejected") assert.ok(fenced(result.reason), String(result.reason));
      }
      const winners = offsets.filter((_, i) => results[i]!.status === "fulfilled");
      assert.equal(winners.length, 1, "one owner");
      committed.push(...winners);
    }
    const restored = await kafka.open().restore(task);
    assert.equal(restored.offset, committed.at(-1));
    assert.deepEqual(contents(restored), { last: String(committed.at(-1)) });
  });

  it("goes on when its epoch has passed but nobody claimed the task, as after a transaction timeout", async () => {
    const task = kafka.task();
    const owner = kafka.open();
    await owner.restore(task);
    await owner.commit(task, change(1, { a: "1" }), EMPTY_BATCH);
    const intruder = await intrude(kafka.brokers(), task);
    const transaction = await intruder.write([{ key: "s:a", value: "\x01wrong" }]);
    await transaction.abort();
    await owner.commit(task, change(2, { b: "2" }), EMPTY_BATCH);
    await intruder.close();
    const restored = await kafka.open().restore(task);
    assert.equal(restored.offset, 2);
    assert.deepEqual(contents(restored), { a: "1", b: "2" });
  });

  it("keeps the outputs of an owner that was replaced out of the store", async () => {
    const task = kafka.task();
    const data = new MemoryStateData();
    const [old, next] = [kafka.open(), kafka.open()].map((checkpoints) =>
      checkpoints.withOutputs(new MemoryStore(data), { onRejected: async () => {} }),
    );
    const outputs = (readings: number) => ({ ...EMPTY_BATCH, devices: [summary("d", { readings })] });
    await old!.restore(task);
    await old!.commit(task, change(1, {}), outputs(1));
    await next!.restore(task);
    await next!.commit(task, change(3, {}), outputs(3));
    await assert.rejects(old!.commit(task, change(2, {}), outputs(2)), fenced);
    assert.equal(data.devices.get("d")?.readings, 3);
  });

  it("commits no state while the store does not take the outputs", async () => {
    const task = kafka.task();
    const checkpoints = kafka.open();
    const away = new SluiceError("STORE_UNAVAILABLE", "away");
    let failures = 2;
    let writes = 0;
    const store = {
      write: async () => {
        if (failures-- > 0) throw away;
        writes++;
        return [];
      },
    };
    const both = checkpoints.withOutputs(store, { onRejected: async () => {} });
    const outputs = { ...EMPTY_BATCH, devices: [summary("d")] };
    await both.restore(task);
    await both.commit(task, change(1, { a: "1" }), EMPTY_BATCH);
    for (let i = 0; i < 2; i++) {
      await assert.rejects(both.commit(task, change(2, { a: "2" }), outputs), (error) => error === away);
    }
    assert.equal((await kafka.open().restore(task)).offset, 1);
    const restored = await both.restore(task);
    assert.deepEqual([restored.offset, contents(restored)], [1, { a: "1" }]);
    await both.commit(task, change(2, { a: "2" }), outputs);
    assert.equal(writes, 1);
    assert.equal((await kafka.open().restore(task)).offset, 2);
  });

  it("frees a released task, and takes it up again", async () => {
    const task = kafka.task();
    const owner = kafka.open();
    await owner.restore(task);
    await owner.commit(task, change(1, { a: "1" }), EMPTY_BATCH);
    await owner.release(task);
    await assert.rejects(owner.commit(task, change(2, {}), EMPTY_BATCH), fenced);
    assert.deepEqual(contents(await owner.restore(task)), { a: "1" });
    await owner.commit(task, change(3, {}), EMPTY_BATCH);
  });
}

function crashTests(): void {
  const kafka = withBroker();

  it("shows nothing of aborted transactions, and does not wait for those of the dead", async () => {
    const task = kafka.task();
    const owner = kafka.open();
    await owner.restore(task);
    await owner.commit(task, change(1, { a: "1", b: "1" }), EMPTY_BATCH);
    const intruder = await intrude(kafka.brokers(), task);
    for (let i = 0; i < 3; i++) {
      const aborted = await intruder.write([
        { key: "s:a", value: "\x01aborted" },
        { key: "checkpoint", value: '{"v":1,"offset":99}' },
        { key: "s:c", value: "\x01aborted" },
      ]);
      await aborted.abort();
      await owner.commit(task, change(2 + i, { b: String(2 + i) }), EMPTY_BATCH);
      await intruder.close();
      Object.assign(intruder, await intrude(kafka.brokers(), task));
    }
    await intruder.write([{ key: "s:a", value: "\x01open" }]);
    await intruder.close(); // leaves its transaction open, for a minute
    const restored = await kafka.open().restore(task);
    assert.equal(restored.offset, 4);
    assert.deepEqual(contents(restored), { a: "1", b: "4" });
  });

  it("leaves the old state or the new when it is killed in mid-commit, never a mix", async () => {
    const task = kafka.task();
    const entries = 5_000;
    let last = 0;
    let torn = 0;
    for (let round = 0; round < 8; round++) {
      const child = kafka.committer(task, entries);
      await child.line((line) => line === `committed ${last + 1}`);
      await child.line((line) => line === `begun ${last + 2}`);
      await systemClock.sleep(round * 12);
      await child.stop("SIGKILL");
      const done = child.lines.filter((line) => line.startsWith("committed")).length;
      if (child.lines.at(-1)!.startsWith("begun")) torn++;
      const restored = await kafka.open().restore(task);
      const offset = restored.offset!;
      assert.ok(
        offset === last + done || offset === last + done + 1,
        `offset ${offset} after ${last} + ${done}`,
      );
      const values = new Set(Object.values(contents(restored)));
      assert.deepEqual([...values], [String(offset)]);
      assert.equal([...restored.entries()].length, entries);
      last = offset;
    }
    assert.ok(torn > 0, "no kill came in the middle of a commit");
  });

  it("commits go through once a broker that was away is back, and repeats do no harm", async () => {
    const task = kafka.task();
    const owner = kafka.open();
    await owner.restore(task);
    let offset = 0;
    for (let round = 0; round < 2; round++) {
      await owner.commit(task, change(++offset, { a: String(offset) }), EMPTY_BATCH);
      const next = change(++offset, { a: String(offset), gone: null });
      const racing = owner.commit(task, next, EMPTY_BATCH).catch((error: unknown) => error);
      await kafka.broker().kill();
      const outcome = await racing;
      if (outcome !== undefined) assert.ok(unavailable(outcome), String(outcome));
      await assert.rejects(owner.commit(task, next, EMPTY_BATCH), unavailable);
      await kafka.broker().restart();
      await eventually(() => owner.commit(task, next, EMPTY_BATCH));
      await eventually(() => owner.commit(task, next, EMPTY_BATCH));
    }
    const restored = await kafka.open().restore(task);
    assert.equal(restored.offset, offset);
    assert.deepEqual(contents(restored), { a: String(offset) });
  });
}

function changelogTests(): void {
  const kafka = withBroker();

  it("commits 100,000 entries at once, and reports the progress of restoring them", async () => {
    const task = kafka.task();
    const owner = kafka.open();
    await owner.restore(task);
    const value = Buffer.alloc(200, 7);
    const state = new Map(Array.from({ length: 100_000 }, (_, i) => [`device-${i}`, value]));
    await owner.commit(task, { offset: 1, state }, EMPTY_BATCH);
    const seen: { records: number; done: number; total: number }[] = [];
    const restored = await kafka.open({ onProgress: (progress) => seen.push(progress) }).restore(task);
    assert.equal([...restored.entries()].length, state.size);
    assert.ok(seen.length > 10, "progress in small steps");
    assert.ok(seen.every((one, i) => i === 0 || one.done > seen[i - 1]!.done));
    const end = seen.at(-1)!;
    assert.equal(end.done, end.total);
    assert.ok(end.records > state.size);
  });

  it("names the key of an entry that is too large, and commits nothing of it", async () => {
    const task = kafka.task();
    const owner = kafka.open();
    await owner.restore(task);
    const large = change(1, { fine: "1", "device-9": "x".repeat(900_000) });
    await assert.rejects(
      owner.commit(task, large, EMPTY_BATCH),
      (error) => hasCode(error, "LOG_RECORD_TOO_LARGE") && error.message.includes('"device-9"'),
    );
    await owner.commit(task, change(2, { "device-9": "x".repeat(890_000) }), EMPTY_BATCH);
    assert.deepEqual(Object.keys(contents(await kafka.open().restore(task))), ["device-9"]);
  });

  it("reports a state it cannot read, and discards it on demand", async () => {
    const task = kafka.task();
    const owner = kafka.open();
    await owner.restore(task);
    await owner.commit(task, change(7, { a: "1" }), EMPTY_BATCH);
    const intruder = await intrude(kafka.brokers(), task);
    await (
      await intruder.write([
        { key: "s:b", value: "\x09newer" },
        { key: "later", value: "?" },
      ])
    ).commit();
    await intruder.close();
    const next = kafka.open();
    await assert.rejects(next.restore(task), (error) => hasCode(error, "STATE_CORRUPT"));
    await next.discard(task);
    const restored = await next.restore(task);
    assert.equal(restored.offset, undefined);
    assert.deepEqual(contents(restored), {});
  });

  it("refuses a changelog that does not fit its input", async () => {
    const task = kafka.task();
    const topic = changelogTopic(task);
    await withAdmin(kafka.brokers(), (admin) =>
      admin.createTopics({ topics: [{ topic, numPartitions: 3 }] }),
    );
    await assert.rejects(
      kafka.open().restore(task),
      (error) => hasCode(error, "CONFIG_INVALID") && error.message.includes(topic),
    );
    const grown = { ...kafka.task(), topic: "grows" };
    const checkpoints = kafka.open();
    await withAdmin(kafka.brokers(), async (admin) => {
      await admin.createTopics({ topics: [{ topic: "grows", numPartitions: 1 }], waitForLeaders: true });
      await checkpoints.restore(grown);
      await admin.createPartitions({ topicPartitions: [{ topic: "grows", count: 2 }] });
    });
    await assert.rejects(checkpoints.restore({ ...grown, partition: 1 }), (error) =>
      hasCode(error, "CONFIG_INVALID"),
    );
    const unknown = { ...kafka.task(), topic: "no-such-topic" };
    await assert.rejects(kafka.open().restore(unknown), (error) => hasCode(error, "LOG_UNKNOWN_TOPIC"));
  });

  it("is compacted, and restores the same from what compaction leaves", async () => {
    const task = kafka.task();
    const owner = kafka.open();
    await owner.restore(task);
    const topic = changelogTopic(task);
    assert.deepEqual(await topicSettings(kafka.brokers(), topic, ["cleanup.policy"]), ["compact"]);
    await setForQuickCompaction(kafka.brokers(), topic);
    const rounds = 60;
    for (let n = 1; n <= rounds; n++) {
      const hot = Array.from({ length: 50 }, (_, i) => [`hot-${i}`, `${n} ${"x".repeat(2_000)}`]);
      const gone = n % 2 === 1 ? { [`gone-${n}`]: "1" } : { [`gone-${n - 1}`]: null };
      await owner.commit(
        task,
        change(n, { ...Object.fromEntries(hot), ...gone, [`cold-${n}`]: "1" }),
        EMPTY_BATCH,
      );
    }
    const expected = contents(await owner.restore(task));
    assert.equal(Object.keys(expected).length, 50 + rounds);
    let records = Number.POSITIVE_INFINITY;
    const giveUpAt = Date.now() + 90_000;
    while (records > (rounds * 52) / 2) {
      assert.ok(Date.now() < giveUpAt, `not compacted: ${records} records are left`);
      const reader = kafka.open({ onProgress: (progress) => (records = progress.records) });
      const restored = await reader.restore(task);
      assert.equal(restored.offset, rounds);
      assert.deepEqual(contents(restored), expected);
      await systemClock.sleep(1_000);
    }
  });
}

/** Kafka's number for a topic among resources with settings. */
const TOPIC_RESOURCE = 2;

async function setForQuickCompaction(brokers: string[], name: string): Promise<void> {
  const settings = {
    "cleanup.policy": "compact",
    "segment.bytes": String(1 << 20),
    "min.cleanable.dirty.ratio": "0.01",
  };
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
  await withAdmin(brokers, (admin) =>
    admin.alterConfigs({ validateOnly: false, resources: [{ type: TOPIC_RESOURCE, name, configEntries }] }),
  );
}
