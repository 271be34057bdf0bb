import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { hasCode } from "../contracts/errors.js";
import { systemClock } from "../runtime/clock.js";
import { createLogger } from "../runtime/logger.js";
import { type FleetOptions, runFleet } from "./fleet.js";
import { ackLatency } from "./latency.js";
import type { Ledger } from "./ledger.js";
import { readLedger } from "./ledger-file.js";
import { encodeReading } from "./message.js";
import { LABELS } from "./script.js";
import { type Broker, type Publish, withBroker } from "./testing/broker.js";

const dir = mkdtempSync(join(tmpdir(), "sluice-fleet-"));
after(() => rmSync(dir, { recursive: true }));

const DEPS = { clock: systemClock, logger: createLogger("silent") };

/** The bytes of an entry as the device must have sent them, every time. */
function bytesOf(ledger: Ledger, n: number): Publish {
  const invalid = ledger.invalid(n);
  if (invalid) return { topic: invalid.topic, payload: invalid.payload.toString("base64") };
  const { boot, metrics } = ledger.header;
  const payload = encodeReading(ledger.reading(n), boot, metrics).toString("base64");
  return { topic: `devices/${ledger.deviceId(ledger.device(n))}/telemetry`, payload };
}

function tally(publishes: Iterable<Publish>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { topic, payload } of publishes) {
    const key = `${topic} ${payload}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

/** What holds for every run: acked was seen, seen was sent, and each no more often than sent. */
function assertTrue(ledger: Ledger, seen: readonly Publish[]): void {
  const counts = tally(seen);
  const sends = new Map<string, number>();
  for (let n = 0; n < ledger.size; n++) {
    const { topic, payload } = bytesOf(ledger, n);
    const key = `${topic} ${payload}`;
    sends.set(key, (sends.get(key) ?? 0) + ledger.sends(n));
    if (ledger.isAcked(n)) assert.ok(counts.has(key), `entry ${n} was acked, but the broker never saw it`);
  }
  for (const [key, count] of counts) {
    assert.ok(sends.has(key), `the broker saw what is not in the ledger: ${key}`);
    assert.ok(count <= sends.get(key)!, `seen ${count} times, sent ${sends.get(key)} times`);
  }
}

function acked(ledger: Ledger): number {
  return Array.from({ length: ledger.size }, (_, n) => n).filter((n) => ledger.isAcked(n)).length;
}

for (const client of ["mqttjs", "light"] as const) describe(client, () => fleetTests(client));

/** What holds whichever client the devices have. */
function fleetTests(client: "mqttjs" | "light"): void {
  function options(broker: Broker, changes: Partial<FleetOptions> = {}): FleetOptions {
    return {
      url: broker.url,
      client,
      devices: 5,
      ratePerDevice: 0,
      durationMs: 100_000,
      ...DEPS,
      ...changes,
    };
  }

  for (const qos of [1, 2] as const) {
    test(`QoS ${qos}: everything is sent once and acked`, () =>
      withBroker(async (broker) => {
        const result = await runFleet(options(broker, { qos }));
        assert.deepEqual([result.sent, result.sends, result.acked, result.unfinished], [500, 500, 500, 0]);
        assert.equal(broker.seen.length, 500);
        assertTrue(result.ledger, broker.seen);
        const times = Array.from({ length: result.ledger.size }, (_, n) => result.ledger.ts(n));
        assert.ok(Math.max(...times) <= systemClock.now());
        assert.deepEqual(ackLatency(result.ledger, "due"), ackLatency(result.ledger, "sent"));
      }));
  }

  test("QoS 0: everything is sent, and nothing is called acked", () =>
    withBroker(async (broker) => {
      const result = await runFleet(options(broker, { qos: 0 }));
      assert.deepEqual([result.sent, result.acked, result.unfinished], [500, 0, 0]);
      assertTrue(result.ledger, broker.seen);
    }));

  test("the broker crashes in mid-run: nothing acked is missing, the unacked go out again with the same bytes", () =>
    withBroker(async (broker) => {
      // The last messages before the crash are seen and not acked, so they must come again.
      broker.mayAck = (count) => count < 200 || count > 220;
      const path = join(dir, `crash-${client}.ledger`);
      const running = runFleet(options(broker, { window: 10, ledgerPath: path }));
      await broker.saw(220);
      const before = broker.seen.slice();
      await broker.crash();
      await broker.start();
      const result = await running;
      assert.deepEqual([result.acked, result.unfinished], [500, 0]);
      assertTrue(result.ledger, broker.seen);
      const again = tally(broker.seen.slice(before.length));
      const repeated = before.filter(({ topic, payload }) => again.has(`${topic} ${payload}`));
      assert.ok(repeated.length >= 21, `${repeated.length} were sent again`);
      const onDisk = await readLedger(path);
      assert.deepEqual([onDisk.size, acked(onDisk)], [500, 500]);
      assertTrue(onDisk, broker.seen);
    }));

  test("the window bounds what is in flight", () =>
    withBroker(async (broker) => {
      broker.mayAck = () => false;
      const stop = new AbortController();
      const running = runFleet(options(broker, { window: 7, signal: stop.signal }));
      await broker.saw(35);
      await systemClock.sleep(100);
      stop.abort();
      const result = await running;
      assert.deepEqual([broker.seen.length, result.sent, result.acked], [35, 35, 0]);
      assert.deepEqual([result.aborted, result.unfinished], [true, 5]);
    }));

  test("a gateway that acks nothing does not hold the run for ever", () =>
    withBroker(async (broker) => {
      broker.mayAck = () => false;
      const result = await runFleet(options(broker, { drainMs: 200 }));
      assert.deepEqual([result.aborted, result.acked, result.unfinished], [false, 0, 5]);
    }));

  test("faults do to the wire what their labels say", () =>
    withBroker(async (broker) => {
      const faults = { duplicates: 0.1, reordered: 0.1, malformed: 0.1, late: 0.1, cuts: 0.02 };
      const { ledger, unfinished } = await runFleet(options(broker, { faults, durationMs: 200_000 }));
      assert.equal(unfinished, 0);
      assertTrue(ledger, broker.seen);
      const counts = tally(broker.seen);
      const labelled = Object.fromEntries(Object.keys(LABELS).map((name) => [name, 0]));
      for (let n = 0; n < ledger.size; n++) {
        const { topic, payload } = bytesOf(ledger, n);
        for (const [name, bit] of Object.entries(LABELS)) if (ledger.labels(n) & bit) labelled[name]!++;
        if (ledger.labels(n) & LABELS.duplicate) assert.ok(counts.get(`${topic} ${payload}`)! >= 2);
        assert.equal((ledger.labels(n) & LABELS.malformed) !== 0, ledger.invalid(n) !== undefined);
      }
      for (const [name, count] of Object.entries(labelled)) assert.ok(count > 0, `no message was ${name}`);
    }));

  test("paced readings are due at their event time, spread over the ramp, and progress is told", () =>
    withBroker(async (broker) => {
      const shown: number[] = [];
      const result = await runFleet(
        options(broker, {
          ...{ devices: 4, ratePerDevice: 50, durationMs: 1_000, rampMs: 400 },
          onProgress: ({ acked }) => shown.push(acked),
        }),
      );
      const { ledger } = result;
      assert.equal(ledger.size, 200);
      assert.equal(shown.at(-1), 200);
      const first = [0, 1, 2, 3].map((device) => ledger.dueMs(ledger.find(device, 0)!));
      for (const [device, dueMs] of first.entries()) {
        assert.ok(dueMs >= device * 100 && dueMs < device * 100 + 20, `${first}`);
      }
      for (let n = 0; n < ledger.size; n++) {
        assert.equal(ledger.ts(n), ledger.header.startedAt + ledger.dueMs(n));
        assert.ok(ledger.sentMs(n) >= ledger.dueMs(n));
      }
    }));

  test("a simulator that is killed leaves a ledger with everything the broker saw", () =>
    withBroker(async (broker) => {
      const path = join(dir, `killed-${client}.ledger`);
      const compiled = import.meta.url.endsWith(".js");
      const module = (name: string) => JSON.stringify(`./${name}.${compiled ? "js" : "ts"}`);
      const code = `
      const { runFleet } = await import(${module("device-sim/fleet")});
      const { systemClock: clock } = await import(${module("runtime/clock")});
      const { createLogger } = await import(${module("runtime/logger")});
      await runFleet({ url: "${broker.url}", client: "${client}", devices: 20, ratePerDevice: 0, durationMs: 86_400_000,
        ledgerPath: ${JSON.stringify(path)}, clock, logger: createLogger("silent") });`;
      const args = [...(compiled ? [] : ["--import", "tsx"]), "--input-type=module", "-e", code];
      const simulator = spawn(process.execPath, args, {
        cwd: join(import.meta.dirname, ".."),
        stdio: "inherit",
      });
      const exited = once(simulator, "exit");
      await broker.saw(3_000);
      simulator.kill("SIGKILL");
      await exited;
      assert.ok(existsSync(path) && statSync(path).size > 0);
      const ledger = await readLedger(path);
      assert.ok(acked(ledger) > 0);
      assertTrue(ledger, broker.seen);
    }));

  test("a ledger that exists stops the run before it starts", () =>
    withBroker(async (broker) => {
      const path = join(dir, `twice-${client}.ledger`);
      await runFleet(options(broker, { ledgerPath: path, devices: 1, durationMs: 1_000 }));
      await assert.rejects(runFleet(options(broker, { ledgerPath: path })), (error) =>
        hasCode(error, "CONFIG_INVALID"),
      );
    }));
}
