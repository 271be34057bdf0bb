import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Registry } from "../runtime/metrics.js";
import { type ReadinessOptions, readiness } from "./readiness.js";

const GIB = 1024 ** 3;
const works = { check: async () => undefined };

function options(more: Partial<ReadinessOptions> = {}): ReadinessOptions {
  return {
    config: { log: "embedded", store: "embedded", dataDir: "/data" },
    log: works,
    store: works,
    running: { processor: { problem: () => undefined } },
    stats: () => ({ lag: 12, uncommitted: 3 }),
    registry: new Registry(),
    space: async () => ({ freeBytes: 30 * GIB, totalBytes: 100 * GIB }),
    ...more,
  };
}

async function failed(more: Partial<ReadinessOptions>): Promise<string[]> {
  const { ok, checks } = await readiness(options(more))();
  const bad = checks.filter((check) => !check.ok);
  assert.equal(ok, bad.length === 0);
  return bad.map(({ name, detail }) => `${name}: ${detail}`);
}

test("ready: every check says what it found", async () => {
  const { ok, checks } = await readiness(options())();
  assert.equal(ok, true);
  assert.deepEqual(
    checks.map(({ name, detail }) => [name, detail]),
    [
      ["log", "reachable"],
      ["store", "reachable"],
      ["disk", "30.0 GiB free"],
      ["processor", "processing: 12 records wait, 3 are processed and not in the store yet"],
    ],
  );
});

test("a disk that is almost full is a reason not to be ready", async () => {
  const full = async () => ({ freeBytes: 0.25 * GIB, totalBytes: 100 * GIB });
  assert.deepEqual(await failed({ space: full }), [
    "disk: the disk of /data is almost full: 256 MiB free of 100.0 GiB, less than the 1.0 GiB to keep",
  ]);
});

test("the disk of the data folder matters only where something is kept there", async () => {
  const space = async () => Promise.reject(new Error("ENOENT"));
  assert.deepEqual(await failed({ space }), ["disk: ENOENT"]);
  const elsewhere = { log: "kafka", store: "influx", dataDir: "/data" } as const;
  assert.deepEqual(await failed({ space, config: elsewhere }), []);
});

test("log, store and processor give their reasons, all at once", async () => {
  const away = (why: string) => ({ check: () => Promise.reject(new Error(why)) });
  const running = { processor: { problem: () => "not subscribed" } };
  assert.deepEqual(await failed({ log: away("no broker"), store: away("refused"), running }), [
    "log: no broker",
    "store: refused",
    "processor: not subscribed",
  ]);
});

test("a check that never answers is a failure, not a wait", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const answer = failed({ store: { check: () => new Promise(() => undefined) } });
  await turn();
  t.mock.timers.tick(5_000);
  assert.deepEqual(await answer, ["store: no answer within 5 s"]);
});

test("while it starts it is not ready, and sluice_ready forgets that afterwards", async () => {
  const registry = new Registry();
  const running = { starting: true };
  const ready = readiness(options({ registry, running }));
  assert.equal((await ready()).ok, false);
  assert.match(await registry.metrics(), /sluice_ready\{check="start"\} 0/);
  running.starting = false;
  assert.equal((await ready()).ok, true);
  assert.doesNotMatch(await registry.metrics(), /start/);
});

test("sluice_ready shows each check", async () => {
  const registry = new Registry();
  readiness(options({ registry, running: {}, store: { check: () => Promise.reject(new Error("away")) } }));
  const lines = (await registry.metrics()).split("\n").filter((line) => line.startsWith("sluice_ready"));
  assert.deepEqual(lines, [
    'sluice_ready{check="log"} 1',
    'sluice_ready{check="store"} 0',
    'sluice_ready{check="disk"} 1',
  ]);
});
