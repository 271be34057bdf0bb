import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { hasCode } from "../contracts/errors.js";
import { systemClock } from "../runtime/clock.js";
import { createLogger } from "../runtime/logger.js";
import { ANOMALY_KINDS } from "./anomalies.js";
import { runFleet } from "./fleet.js";
import { simOptionsSchema } from "./options.js";
import { planFleet, typeSignals } from "./plan.js";
import { timeOfWorkMs, workMs } from "./profile.js";
import { type DeviceType, parseScenario } from "./scenario.js";
import { withBroker } from "./testing/broker.js";

const up = import.meta.url.includes("/dist/") ? "../.." : "..";
const EXAMPLE = readFileSync(
  fileURLToPath(new URL(`${up}/docs/scenarios/plant.yaml`, import.meta.url)),
  "utf8",
);
const NOW = 1_732_350_000_000;
const SIM = simOptionsSchema.parse({});

function scenario(text: string) {
  return parseScenario(
    `duration: 100s\ntypes: { t: { devices: 2, interval: 1s, metrics: { m: { parts: [${text}] } } } }`,
  );
}

/** A thousand values of the only metric, every 10 s. */
function course(part: string, device = 0): number[] {
  const type = scenario(part).types.t as DeviceType;
  return Array.from({ length: 1_000 }, (_, n) => typeSignals(type, 1, device)("m", NOW + n * 10_000)!);
}

const spread = (values: number[]) => Math.max(...values) - Math.min(...values);
const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

test("each signal model has the course it is named for", () => {
  assert.equal(spread(course("{ model: constant, value: 5 }")), 0);
  assert.notEqual(
    course("{ model: constant, value: 5, vary: 1 }")[0],
    course("{ model: constant, value: 5, vary: 1 }", 1)[0],
  );
  const day = course("{ model: diurnal, swing: 4, peakHour: 12 }");
  // From 08:20 to 11:06 UTC: up to the peak at noon.
  assert.ok(day[0]! < 2.5 && day.at(-1)! > 3.8 && day.at(-1)! <= 4);
  const noise = course("{ model: noise, deviation: 2 }");
  assert.ok(Math.abs(mean(noise)) < 0.3);
  assert.ok(Math.abs(Math.sqrt(mean(noise.map((value) => value ** 2))) - 2) < 0.2);
  const walk = course("{ model: walk, spread: 3, over: 1h }");
  assert.ok(spread(walk) > 1 && walk.every((value) => Math.abs(value) <= 3));
  assert.ok(
    walk.slice(1).every((value, i) => Math.abs(value - walk[i]!) < 1),
    "a walk does not jump",
  );
  const machine = course("{ model: vibration, running: 2, idle: 0.1, rough: 0.05, duty: 0.5 }");
  assert.ok(machine.some((value) => value < 0.5) && machine.some((value) => value > 1.9));
  const battery = course("{ model: battery, lasts: 1h }");
  assert.ok(battery.every((value) => value >= 10 && value <= 100));
  assert.equal(
    battery.slice(1).filter((value, i) => value > battery[i]!).length,
    2 + Number(battery[0]! < battery[999]!),
  );
  const counter = course("{ model: counter, perSecond: 0.3 }");
  assert.ok(counter.slice(1).every((value, i) => value - counter[i]! === 3));
  assert.deepEqual([...new Set(course("{ model: onoff }"))].sort(), [0, 1]);
});

test("a track is a round trip about its centre, the same place by both axes", () => {
  const track = (axis: string) =>
    course(`{ model: track, axis: ${axis}, centre: [50, 10], radiusKm: 10, lap: 1h }`);
  const [latitude, longitude] = [track("latitude"), track("longitude")];
  for (const [i, lat] of latitude.entries()) {
    const x = (longitude[i]! - 10) * 111.32 * Math.cos((50 * Math.PI) / 180);
    const km = Math.hypot((lat - 50) * 111.32, x);
    assert.ok(km > 8.5 && km < 11.5, `${km} km from the centre`);
  }
  assert.ok(spread(latitude) > 0.15 && spread(longitude) > 0.2);
});

test("the schedule of every profile is the inverse of the work it asks for", () => {
  const durationMs = 600_000;
  for (const [profile, work] of [
    [{ kind: "steady" }, 1],
    [{ kind: "ramp", from: 0, to: 4 }, 2],
    [{ kind: "burst", every: 60_000, lasts: 10_000, factor: 7 }, 2],
    [{ kind: "diurnal", period: 300_000, depth: 1 }, 1],
  ] as const) {
    const total = workMs(profile, durationMs, durationMs);
    assert.ok(Math.abs(total / durationMs - work) < 1e-9, `${profile.kind}: ${total}`);
    for (let i = 0; i <= 100; i++) {
      const wanted = (total * i) / 100;
      const atMs = timeOfWorkMs(profile, durationMs, wanted);
      assert.ok(atMs >= 0 && atMs <= durationMs);
      assert.ok(Math.abs(workMs(profile, durationMs, atMs) - wanted) < 0.01, profile.kind);
    }
  }
});

test("a burst packs its readings, and every event time of a device is its own", () => {
  const text = EXAMPLE.replace("pace: closed", "pace: open");
  const plan = planFleet(SIM, parseScenario(text), NOW);
  const { stepMs, count } = plan.device(0);
  assert.deepEqual([stepMs, count], [2_000, 400]);
  const times = Array.from({ length: count }, (_, n) => Math.floor(plan.offsetMs(n * stepMs)));
  assert.equal(new Set(times).size, count);
  assert.equal(times.filter((ms) => ms < 5_000).length, 8);
  assert.equal(times.filter((ms) => ms >= 5_000 && ms < 30_000).length, 12);
});

test("types come one after the other, and each reports its own metrics", () => {
  const plan = planFleet(SIM, parseScenario(EXAMPLE), NOW);
  assert.equal(plan.devices, 8);
  const reports = (index: number) =>
    plan.metrics.filter((metric) => plan.device(index).signals(metric, NOW) !== undefined);
  assert.deepEqual(reports(4), ["vibration", "energy"]);
  assert.deepEqual(reports(7), ["latitude", "longitude", "battery"]);
  assert.equal(plan.anomalies.find(({ kind }) => kind === "dropout")!.device, 5);
});

test("the example runs: every message acked, each anomaly visible where its label says", () =>
  withBroker(async (broker) => {
    const result = await runFleet({
      ...{ url: broker.url, client: "light", scenario: parseScenario(EXAMPLE) },
      ...{ clock: systemClock, logger: createLogger("silent") },
    });
    const { ledger } = result;
    assert.equal(result.unfinished, 0);
    assert.equal(result.acked, ledger.size);
    assert.deepEqual(new Set(ledger.header.anomalies.map(({ kind }) => kind)), new Set(ANOMALY_KINDS));
    const { signals } = planFleet(SIM, parseScenario(EXAMPLE), ledger.header.startedAt).device(0);
    const column = (metric: string) => ledger.header.metrics.indexOf(metric);
    const spike = ledger.header.anomalies[0]!;
    let seen = 0;
    for (let n = 0; n < ledger.size; n++) {
      if (ledger.invalid(n) || ledger.device(n) !== 0) continue;
      const ts = ledger.ts(n);
      const labelled = ts >= spike.from && ts < spike.to;
      if (labelled) seen++;
      const healthy = signals("temperature", ts)!;
      const added = ledger.value(n, column("temperature")) - healthy;
      assert.ok(Math.abs(added - (labelled ? 30 : 0)) < 1e-6, `${added} at ${ts}`);
    }
    assert.ok(seen >= 1);
  }));

test("a storm cuts every connection at once, and nothing is lost by it", () =>
  withBroker(async (broker) => {
    const text = `duration: 2s
storms: [1s]
types: { t: { devices: 20, interval: 100ms, metrics: { m: { parts: [{ model: noise, deviation: 1 }] } } } }`;
    const result = await runFleet({
      ...{
        url: broker.url,
        scenario: parseScenario(text),
        clock: systemClock,
        logger: createLogger("silent"),
      },
    });
    assert.deepEqual([result.acked, result.unfinished], [400, 0]);
    // One that was not connected at that moment has nothing to lose.
    assert.ok(result.errors > 0 && result.errors <= 20, `${result.errors} connections were lost`);
  }));

test("a device that has nothing to say sends nothing", () =>
  withBroker(async (broker) => {
    const text = `duration: 100s
pace: closed
types: { t: { devices: 1, interval: 1s, metrics: { m: { parts: [{ model: noise, deviation: 1 }] } } } }
anomalies: [{ kind: dropout, type: t, metric: m, at: 50s, lasts: 10s }]`;
    const { sent } = await runFleet({
      ...{
        url: broker.url,
        scenario: parseScenario(text),
        clock: systemClock,
        logger: createLogger("silent"),
      },
    });
    assert.equal(sent, 90);
    assert.equal(broker.seen.length, 90);
  }));

test("what is wrong with a scenario is told with its place", () => {
  for (const [change, place] of [
    [["devices: 4", "devices: none"], /types\.boiler\.devices/],
    [["duration: 10m", "duration: soon"], /duration: soon is not a length of time/],
    [["type: motor, device: 0", "type: rotor, device: 0"], /anomalies\.4\.type: there is no type rotor/],
    [["device: 3, metric: temperature", "device: 4, metric: temperature"], /boiler has 4 devices/],
    [["metric: pressure", "metric: speed"], /boiler has no metric speed/],
    [["interval: 1s", "interval: 2ms"], /more than 1000 readings a second/],
    [["storms:", "storm:"], /storm/],
    [["duration: 10m", "duration: [10m"], /not YAML/],
  ] as const) {
    const broken = EXAMPLE.replace(change[0], change[1]);
    assert.notEqual(broken, EXAMPLE);
    assert.throws(
      () => parseScenario(broken),
      (error) => hasCode(error, "CONFIG_INVALID") && place.test((error as Error).message),
      change[1],
    );
  }
});
