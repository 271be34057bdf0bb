import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { hasCode } from "../contracts/errors.js";
import { systemClock } from "../runtime/clock.js";
import { readCsv } from "./csv-source.js";
import { play } from "./play.js";
import { record } from "./record.js";
import { type Recorded, readRecording, recordingHeader, recordingLine } from "./recording.js";
import { type Broker, withBroker } from "./testing/broker.js";

const dir = mkdtempSync(join(tmpdir(), "sluice-play-"));
after(() => rmSync(dir, { recursive: true }));

const BINARY = Buffer.from([0xff, 0x00, 0x7b]);
const MESSAGES: Recorded[] = Array.from({ length: 50 }, (_, i) => ({
  atMs: i * 20,
  topic: `devices/d${i % 3}/telemetry`,
  payload: i === 7 ? BINARY : Buffer.from(`{"ts":${i},"values":{"m":${i}}}`),
}));

async function* linesOf(text: string): AsyncGenerator<string> {
  yield* text.split("\n").filter((line) => line !== "");
}

async function* sourceOf(messages: readonly Recorded[]): AsyncGenerator<Recorded> {
  yield* messages;
}

async function all(source: AsyncIterable<Recorded>): Promise<Recorded[]> {
  const got: Recorded[] = [];
  for await (const message of source) got.push(message);
  return got;
}

const asSeen = ({ topic, payload }: Recorded) => ({ topic, payload: payload.toString("base64") });

function playing(broker: Broker, changes: Partial<Parameters<typeof play>[0]> = {}) {
  const source = sourceOf(MESSAGES);
  return play({
    ...{ url: broker.url, source, speed: 100, qos: 1, window: 10, clock: systemClock },
    ...changes,
  });
}

test("what is played arrives in order, byte by byte, and what is recorded of it is the same again", () =>
  withBroker(async (broker) => {
    const path = join(dir, "played.jsonl");
    const stop = new AbortController();
    const counts: number[] = [];
    let ready!: () => void;
    const subscribed = new Promise<void>((resolve) => {
      ready = resolve;
    });
    const recording = record({
      ...{ url: broker.url, topics: ["devices/+/telemetry"], path, clock: systemClock, signal: stop.signal },
      onReady: ready,
      onMessage: (count) => {
        counts.push(count);
        if (count === MESSAGES.length) stop.abort();
      },
    });
    await subscribed;
    const result = await playing(broker);
    assert.deepEqual(result, { sent: 50, acked: 50, resent: 0 });
    assert.deepEqual(broker.seen, MESSAGES.map(asSeen));
    assert.equal(await recording, 50);
    const recorded = await all(readRecording(linesOf(readFileSync(path, "utf8"))));
    assert.deepEqual(recorded.map(asSeen), MESSAGES.map(asSeen));
    assert.ok(recorded.every(({ atMs }, i) => i === 0 || atMs >= recorded[i - 1]!.atMs));
  }));

test("no message goes out before its time, and a higher speed brings it forward", () =>
  withBroker(async (broker) => {
    const beganMs = systemClock.monotonicMs();
    await playing(broker, { speed: 4 });
    const tookMs = systemClock.monotonicMs() - beganMs;
    assert.ok(tookMs >= MESSAGES.at(-1)!.atMs / 4 - 1, `took ${tookMs} ms`);
  }));

test("as fast as acks allow, the window bounds what is in flight", () =>
  withBroker(async (broker) => {
    broker.mayAck = () => false;
    const stop = new AbortController();
    const running = playing(broker, { speed: Number.POSITIVE_INFINITY, window: 7, signal: stop.signal });
    await broker.saw(7);
    await systemClock.sleep(100);
    stop.abort();
    assert.deepEqual(await running, { sent: 7, acked: 0, resent: 0 });
    assert.equal(broker.seen.length, 7);
  }));

test("what was not acked when the broker crashed goes out again, the same bytes in the same order", () =>
  withBroker(async (broker) => {
    broker.mayAck = (count) => count <= 20;
    const running = playing(broker, { speed: Number.POSITIVE_INFINITY });
    await broker.saw(30);
    await broker.crash();
    const before = broker.seen.length;
    broker.mayAck = () => true;
    await broker.start();
    const result = await running;
    assert.deepEqual([result.sent, result.acked, result.resent], [50, 50, 10]);
    assert.deepEqual(broker.seen.slice(before), MESSAGES.slice(20).map(asSeen));
  }));

test("a recording that is torn at its end is read up to there; one damaged before, or none at all, is refused", async () => {
  const lines = [recordingHeader(1), ...MESSAGES.slice(0, 3).map(recordingLine)];
  const torn = lines.join("").slice(0, -10);
  assert.equal((await all(readRecording(linesOf(torn)))).length, 2);
  const damaged = [lines[0], lines[1]!.slice(5), lines[2]].join("");
  for (const text of [damaged, '{"kind":"other"}', "", recordingLine(MESSAGES[0]!)]) {
    await assert.rejects(
      all(readRecording(linesOf(text))),
      (error) => hasCode(error, "CONFIG_INVALID"),
      text,
    );
  }
});

test("a file that exists is not recorded over", () =>
  withBroker(async (broker) => {
    const path = join(dir, "once.jsonl");
    const options = { url: broker.url, topics: ["#"], path, clock: systemClock, signal: AbortSignal.abort() };
    await record(options);
    await assert.rejects(record(options), (error) => hasCode(error, "CONFIG_INVALID"));
  }));

test("CSV rows become readings, with their times, quotes and gaps", async () => {
  const csv = `ts,device,temperature,"room, humidity"
2024-11-23 08:20:00,d1,21.5,40
1732350001.5,"d""2",,41
1732350003000,d1,22,
`;
  const rows = await all(readCsv(linesOf(csv)));
  assert.deepEqual(
    rows.map(({ atMs, topic, payload }) => [atMs, topic, JSON.parse(payload.toString())]),
    [
      [0, "devices/d1/telemetry", { ts: 1732350000000, values: { temperature: 21.5, "room, humidity": 40 } }],
      [1_500, 'devices/d"2/telemetry', { ts: 1732350001500, values: { "room, humidity": 41 } }],
      [3_000, "devices/d1/telemetry", { ts: 1732350003000, values: { temperature: 22 } }],
    ],
  );
  const named = await all(readCsv(linesOf("timestamp,value\n1732350000,1\n"), "pump"));
  assert.equal(named[0]!.topic, "devices/pump/telemetry");
});

test("a CSV row that cannot be read is told with its line", async () => {
  for (const [csv, why] of [
    ["ts,device,m\nsoon,d1,1\n", /line 2: not a time: soon/],
    ["ts,device,m\n1,d1,warm\n", /line 2: m is not a number: warm/],
    ["device,m\n", /no column timestamp/],
    ["ts,m\n", /say --device/],
    ["ts,device\n", /no column with values/],
  ] as const) {
    await assert.rejects(
      all(readCsv(linesOf(csv))),
      (error) => hasCode(error, "CONFIG_INVALID") && why.test((error as Error).message),
    );
  }
});
