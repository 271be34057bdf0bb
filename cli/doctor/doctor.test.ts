/**
 * `sluice doctor` against a machine with something wrong, made so for the test, and one without.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { test } from "node:test";
import { openEmbeddedLog } from "../../adapters/log/embedded/index.js";
import type { KafkaTopic } from "../../adapters/log/kafka/inspect.js";
import { TOPICS, type TopicSpec } from "../../contracts/topics.js";
import { systemClock } from "../../runtime/clock.js";
import { createLogger } from "../../runtime/logger.js";
import { freePort, needs, Workspace } from "../../tests/e2e/harness.js";
import { KAFKA_NEEDS, Kafka } from "../../tests/e2e/kafka.js";
import { diskFull } from "../disk.js";
import type { Finding } from "./finding.js";
import { checkOpenFiles, judgeSync } from "./host.js";
import { judgeClock } from "./services.js";
import { judgeTopics } from "./topics.js";

interface Diagnosis {
  ok: boolean;
  findings: Finding[];
}

async function diagnose(space: Workspace, ...args: string[]): Promise<Diagnosis & { code: number }> {
  const { code, stdout, stderr } = await space.command(["doctor", "--json", ...args]);
  assert.equal(stderr, "");
  return { code, ...(JSON.parse(stdout) as Diagnosis) };
}

function problems({ findings }: Diagnosis): string[] {
  return findings.filter(({ level }) => level === "problem").map(({ check }) => check);
}

const FREE = ["--mqtt-port", "0", "--http-port", "0"];

test("nothing is wrong where nothing is yet, and nothing is left behind", async (t) => {
  const space = Workspace.of(t);
  const diagnosis = await diagnose(space, "--data-dir", space.dataDir, ...FREE);
  assert.deepEqual([diagnosis.code, diagnosis.ok, problems(diagnosis)], [0, true, []]);
  const checks = diagnosis.findings.map(({ check }) => check);
  for (const check of [
    "mqtt port",
    "http port",
    "open files",
    "disk space",
    "disk speed",
    "log",
    "clock",
    "store",
  ])
    assert.ok(checks.includes(check), check);
  assert.equal(existsSync(space.dataDir), false);
});

test("a running Sluice is no reason to complain about its ports or its log", async (t) => {
  const space = Workspace.of(t);
  const sluice = await space.start();
  const ports = ["--mqtt-port", new URL(sluice.mqttUrl).port, "--http-port", new URL(sluice.httpUrl).port];
  const diagnosis = await diagnose(space, "--data-dir", space.dataDir, ...ports);
  assert.deepEqual(problems(diagnosis), []);
  assert.match(diagnosis.findings[0]!.detail, /held by a running Sluice/);
  assert.equal((await sluice.fetch("/readyz")).status, 200);
});

test("a port that something else holds", async (t) => {
  const space = Workspace.of(t);
  const holder = createServer((socket) => socket.destroy());
  const port = await freePort();
  await new Promise<void>((resolve) => holder.listen(port, "127.0.0.1", resolve));
  t.after(() => holder.close());
  const diagnosis = await diagnose(space, "--mqtt-port", String(port), "--http-port", "0");
  assert.deepEqual([diagnosis.code, problems(diagnosis)], [1, ["mqtt port"]]);
  assert.match(diagnosis.findings[0]!.advice!, /mqtt\.port/);
});

test("Kafka and the store are away", async (t) => {
  const space = Workspace.of(t);
  const nobody = `127.0.0.1:${await freePort()}`;
  const kafka = ["--log", "kafka", "--kafka-brokers", nobody];
  const store = ["--store", "influx", "--influx-url", `http://${nobody}`];
  const diagnosis = await diagnose(space, ...FREE, ...kafka, ...store);
  assert.deepEqual([diagnosis.code, problems(diagnosis)], [1, ["log", "store"]]);
});

test("a real Kafka: its topics as they are made, and with another partition count", async (t) => {
  if (!needs(t, ...KAFKA_NEEDS)) return;
  const space = Workspace.of(t);
  const kafka = await Kafka.start(space);
  const args = [...FREE, "--log", "kafka", "--kafka-brokers", kafka.brokers.join(",")];
  const before = await diagnose(space, ...args);
  assert.match(before.findings.find(({ check }) => check === "topics")!.detail, /^0 of 5 there/);
  const log = await kafka.openLog(space);
  await log.ensureTopics([{ name: TOPICS.readings, partitions: 2 }]);
  await log.append(TOPICS.readings, [{ key: "d1", value: Buffer.from("{}"), timestamp: Date.now() }]);
  const after = await diagnose(space, ...args);
  assert.deepEqual([after.code, problems(after)], [0, []]);
  const warnings = after.findings.filter(({ check }) => check === `topic ${TOPICS.readings}`);
  assert.deepEqual(
    warnings.map(({ detail }) => detail.split(/[,;]/)[0]),
    ["2 partitions", "retention.ms is -1"],
  );
  assert.match(after.findings.find(({ check }) => check === "clock")!.detail, /newest reading came in/);
});

test("a clock behind the data in the log", async (t) => {
  const space = Workspace.of(t);
  mkdirSync(space.dataDir);
  const log = await openEmbeddedLog({
    dir: `${space.dataDir}/log`,
    clock: systemClock,
    logger: createLogger("silent"),
  });
  await log.ensureTopics([{ name: TOPICS.readings, partitions: 2 }]);
  await log.append(TOPICS.readings, [
    { key: "d1", value: Buffer.from("{}"), timestamp: Date.now() + 3_600_000 },
    { key: "d2", value: Buffer.from("{}"), timestamp: Date.now() },
  ]);
  await log.close();
  const diagnosis = await diagnose(space, "--data-dir", space.dataDir, ...FREE);
  assert.deepEqual(problems(diagnosis), ["clock"]);
});

test("thresholds", () => {
  const now = Date.UTC(2026, 0, 1);
  assert.equal(judgeClock(now + 4_000, now).level, "ok");
  assert.equal(judgeClock(now + 6_000, now).level, "problem");
  assert.equal(judgeClock(undefined, 0).level, "problem");
  assert.equal(checkOpenFiles(65_536).level, "ok");
  assert.equal(checkOpenFiles(4_096).level, "warning");
  assert.equal(checkOpenFiles(256).level, "problem");
  assert.equal(judgeSync([1, 2, 900]).level, "ok");
  assert.equal(judgeSync([10, 30, 40]).level, "warning");
  assert.equal(judgeSync([300, 300, 300]).level, "problem");
  const gib = 1024 ** 3;
  assert.equal(diskFull({ freeBytes: 2 * gib, totalBytes: 1_000 * gib }), undefined);
  assert.match(diskFull({ freeBytes: 0.5 * gib, totalBytes: 1_000 * gib })!, /almost full: 512 MiB free/);
  assert.equal(diskFull({ freeBytes: 0.5 * gib, totalBytes: 10 * gib }), undefined);
});

const SPEC: TopicSpec = { name: TOPICS.readings, partitions: 4, retentionMs: 1_000 };
const SAFE: KafkaTopic = {
  name: TOPICS.readings,
  partitions: 4,
  replicas: 3,
  inSync: 3,
  settings: {
    "cleanup.policy": "delete",
    "max.message.bytes": "1048588",
    "min.insync.replicas": "2",
    "retention.ms": "1000",
  },
};

function judged(topic: Partial<KafkaTopic>, settings: Record<string, string> = {}): string[] {
  const whole = { ...SAFE, ...topic, settings: { ...SAFE.settings, ...settings } };
  return judgeTopics({ brokers: 3, topics: [whole] }, [SPEC], 256 * 1024)
    .filter(({ level }) => level !== "ok")
    .map(({ level, detail }) => `${level}: ${detail}`);
}

test("topic settings that lose, refuse or stop", () => {
  assert.deepEqual(judged({}), []);
  assert.deepEqual(judged({}, { "cleanup.policy": "compact" }), ["problem: cleanup.policy is compact"]);
  assert.match(judged({}, { "max.message.bytes": "100000" })[0]!, /^problem: takes 100000 bytes/);
  assert.deepEqual(judged({ inSync: 1 }), ["problem: 1 copies keep up, 2 are needed"]);
  assert.deepEqual(judged({ inSync: 2 }), ["warning: 2 of 3 copies keep up"]);
  assert.deepEqual(judged({}, { "min.insync.replicas": "3" }), [
    "warning: all 3 copies are needed for an ack",
  ]);
  assert.deepEqual(judged({}, { "min.insync.replicas": "1" }), ["warning: one copy is enough for an ack"]);
  assert.match(judged({ replicas: 1, inSync: 1 }, { "min.insync.replicas": "1" })[0]!, /1 of 3 brokers/);
  assert.match(judged({ partitions: 2 })[0]!, /^warning: 2 partitions/);
  assert.match(judged({}, { "retention.ms": "5" })[0]!, /^warning: retention\.ms is 5/);
  const [summary] = judgeTopics({ brokers: 1, topics: [] }, [SPEC], 1);
  assert.match(summary!.detail, /0 of 1 there; made at the start: telemetry\.readings/);
});
