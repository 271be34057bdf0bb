/** The appender against a scripted kafkajs: what it sends, and what a failure does to whom. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Kafka, ProducerBatch } from "kafkajs";
import { hasCode } from "../../../contracts/errors.js";
import { createLogger } from "../../../runtime/logger.js";
import { partitionForKey } from "../partitioner.js";
import type { ClusterHandle } from "./client.js";
import { kafkaMetrics } from "./metrics.js";
import { Appender } from "./producer.js";

interface Sent {
  producer: number;
  /** `partition:key` of each record. */
  records: string[];
  ack(): void;
  fail(error: Error): void;
}

const PARTITIONS = 3;

/** A key that maps to the partition; `salt` makes different ones. */
function keyFor(partition: number, salt: string): string {
  for (let i = 0; ; i++) {
    const key = `${salt}${i}`;
    if (partitionForKey(key, PARTITIONS) === partition) return key;
  }
}

function setUp(options: { leaders?: number[]; maxPendingBytes?: number } = {}) {
  const leaders = options.leaders ?? [1, 1, 1];
  const sent: Sent[] = [];
  let producers = 0;
  const producer = () => {
    const id = ++producers;
    return {
      connect: async () => {},
      disconnect: async () => {},
      sendBatch: (batch: ProducerBatch) =>
        new Promise<void>((resolve, reject) => {
          const messages = batch.topicMessages!.flatMap((one) => one.messages);
          const records = messages.map((message) => `${message.partition}:${String(message.key)}`);
          sent.push({ producer: id, records, ack: resolve, fail: reject });
        }),
    };
  };
  const control = { partitions: async () => leaders.map((leader, partition) => ({ partition, leader })) };
  const appender = new Appender({
    kafka: { producer } as unknown as Kafka,
    control: control as unknown as ClusterHandle,
    logger: createLogger("silent"),
    metrics: kafkaMetrics(),
    maxRecordBytes: 10_000,
    lingerMs: 0,
    maxPendingBytes: options.maxPendingBytes ?? 1_000_000,
  });
  /** The n-th request, once it was made. */
  const request = async (n: number): Promise<Sent> => {
    const giveUpAt = Date.now() + 30_000;
    while (sent[n] === undefined) {
      if (Date.now() > giveUpAt) assert.fail(`no request ${n}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return sent[n];
  };
  const append = (...keys: string[]) => {
    const records = keys.map((key) => ({ key, value: Buffer.from("v"), timestamp: 1 }));
    const outcome = { state: "pending" };
    const done = appender.append("t", records).then(
      () => {
        outcome.state = "acked";
      },
      (error: unknown) => {
        outcome.state = hasCode(error, "LOG_UNAVAILABLE") ? "rejected" : String(error);
      },
    );
    return Object.assign(outcome, { done });
  };
  return { appender, sent, request, append };
}

const [p0, p1, p2] = [keyFor(0, "x"), keyFor(1, "y"), keyFor(2, "z")];

describe("Appender", () => {
  it("sends what arrives during a request together with the next one, in order", async () => {
    const { appender, request, append, sent } = setUp();
    const first = append(p0);
    const one = await request(0);
    const later = [append(p0, p1), append(p1), append(p0)];
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(sent.length, 1, "one request at a time");
    one.ack();
    await first.done;
    const two = await request(1);
    assert.deepEqual(two.records, [`0:${p0}`, `0:${p0}`, `1:${p1}`, `1:${p1}`]);
    assert.deepEqual(
      later.map((one) => one.state),
      ["pending", "pending", "pending"],
    );
    two.ack();
    await Promise.all(later.map((one) => one.done));
    await appender.close();
  });

  it("does not let one leader hold up another", async () => {
    const { appender, request, append } = setUp({ leaders: [1, 2, 2] });
    const stuck = append(p0);
    const one = await request(0);
    const other = append(p1);
    (await request(1)).ack();
    await other.done;
    assert.equal(stuck.state, "pending");
    one.ack();
    await stuck.done;
    await appender.close();
  });

  it("rejects with a failed append all behind it, through every partition, and nobody else", async () => {
    const { appender, request, append } = setUp({ leaders: [1, 2, 3] });
    const inFlight = [append(p0), append(p1), append(p2)];
    const requests = await Promise.all([request(0), request(1), request(2)]);
    const across = append(p0, p1); // waits behind both
    const behind = append(p1); // waits behind `across` in partition 1
    const elsewhere = append(p2);
    const byPartition = (partition: number) =>
      requests.find((one) => one.records[0]!.startsWith(`${partition}:`))!;
    byPartition(0).fail(new Error("connection lost"));
    await Promise.all([across.done, behind.done, inFlight[0]!.done]);
    assert.deepEqual([across.state, behind.state, inFlight[0]!.state], ["rejected", "rejected", "rejected"]);
    byPartition(1).ack();
    byPartition(2).ack();
    (await request(3)).ack();
    await Promise.all([inFlight[1]!.done, inFlight[2]!.done, elsewhere.done]);
    assert.deepEqual([inFlight[1]!.state, inFlight[2]!.state, elsewhere.state], ["acked", "acked", "acked"]);
    await appender.close();
  });

  it("never uses a producer again that failed", async () => {
    const { appender, request, append } = setUp();
    const failed = append(p0);
    (await request(0)).fail(new Error("out of sequence"));
    await failed.done;
    const again = append(p0);
    const second = await request(1);
    assert.equal(second.producer, 2);
    second.ack();
    await again.done;
    await appender.close();
  });

  it("holds back what is above its bound until there is room, in order, dropping nothing", async () => {
    const { appender, request, append } = setUp({ maxPendingBytes: 1 });
    const outcomes = [append(p0), append(p1), append(p0)];
    for (const [n, key] of [`0:${p0}`, `1:${p1}`, `0:${p0}`].entries()) {
      const next = await request(n);
      assert.deepEqual(next.records, [key]);
      next.ack();
    }
    await Promise.all(outcomes.map((one) => one.done));
    assert.deepEqual(
      outcomes.map((one) => one.state),
      ["acked", "acked", "acked"],
    );
    await appender.close();
  });

  it("finds the one record that is too large for the topic among others", async () => {
    const { appender, request, append } = setUp();
    const tooLarge = Object.assign(new Error("too large"), { type: "MESSAGE_TOO_LARGE" });
    const [good, bad] = [append(p0), append(p1)];
    (await request(0)).fail(tooLarge);
    const second = await request(1);
    assert.equal(second.records.length, 1, "suspects are sent alone");
    second.ack();
    (await request(2)).fail(tooLarge);
    await Promise.all([good.done, bad.done]);
    assert.equal(good.state, "acked");
    assert.match(bad.state, /too large/);
    await appender.close();
  });

  it("finishes what was accepted before it closes", async () => {
    const { appender, request, append } = setUp();
    const accepted = append(p0);
    const closing = appender.close();
    (await request(0)).ack();
    await closing;
    assert.equal(accepted.state, "acked");
    await assert.rejects(appender.append("t", [{ value: Buffer.from("v"), timestamp: 1 }]), (error) =>
      hasCode(error, "LOG_CLOSED"),
    );
  });
});
