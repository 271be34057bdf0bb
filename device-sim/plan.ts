/**
 * What a fleet is going to do, decided before it starts: who measures what, when each reading happens, and which
 * anomalies are put on top. Made from plain options or from a scenario; the fleet knows no difference.
 */
import { type Anomaly, planAnomalies } from "./anomalies.js";
import { modelValue } from "./models.js";
import type { SimOptions } from "./options.js";
import { type Profile, timeOfWorkMs, workMs } from "./profile.js";
import { uniformAt } from "./random.js";
import type { DeviceType, Scenario } from "./scenario.js";
import type { Faults } from "./script.js";
import { createSignals, METRICS, type Signals } from "./signals.js";

export interface DevicePlan {
  signals: Signals;
  faults: Faults;
  /** Time between two readings at the plain rate. */
  stepMs: number;
  /** Readings. */
  count: number;
}

export interface FleetPlan {
  devices: number;
  /** Of all types, in ledger order. */
  metrics: string[];
  /** Open loop: readings are due at their event time. */
  paced: boolean;
  durationMs: number;
  /** Event time of the start of the run. */
  startTs: number;
  anomalies: Anomaly[];
  /** When all devices lose their connection, milliseconds since the start, in order. */
  stormsMs: number[];
  device: (index: number) => DevicePlan;
  /** When the area under the profile reaches `work`; see profile.ts. */
  offsetMs: (work: number) => number;
}

/** `now`: epoch milliseconds at the start of the run. */
export function planFleet(sim: SimOptions, scenario: Scenario | undefined, now: number): FleetPlan {
  return scenario ? planScenario(sim.seed, scenario, now) : planPlain(sim, now);
}

function planPlain(sim: SimOptions, now: number): FleetPlan {
  const paced = sim.ratePerDevice > 0;
  const stepMs = paced ? 1_000 / sim.ratePerDevice : sim.stepMs;
  const count = readings(sim.durationMs, stepMs);
  // Made-up event times end before now: none is ahead of the gateway's clock.
  const startTs = paced ? now : now - Math.ceil(count * stepMs);
  return {
    ...{
      devices: sim.devices,
      metrics: [...METRICS],
      paced,
      durationMs: sim.durationMs,
      startTs,
      stormsMs: [],
    },
    anomalies: planAnomalies({
      seed: sim.seed,
      devices: Math.min(sim.anomalies, sim.devices),
      kinds: sim.anomalyKinds,
      from: startTs,
      to: Math.ceil(startTs + count * stepMs),
      stepMs,
    }),
    device: (index) => ({ signals: createSignals(sim.seed, index), faults: sim.faults, stepMs, count }),
    offsetMs: (work) => work,
  };
}

function planScenario(seed: number, scenario: Scenario, now: number): FleetPlan {
  const { duration: durationMs, profile, pace } = scenario;
  const types = Object.entries(scenario.types);
  const firstOf = new Map<string, number>();
  let devices = 0;
  for (const [name, type] of types) {
    firstOf.set(name, devices);
    devices += type.devices;
  }
  const work = workMs(profile, durationMs, durationMs);
  const startTs =
    pace === "open" ? now : now - durationMs - Math.max(...types.map(([, { interval }]) => interval));
  const typeOf = (index: number) => types.findLast(([name]) => firstOf.get(name)! <= index)![1];
  return {
    ...{ devices, paced: pace === "open", durationMs, startTs },
    metrics: [...new Set(types.flatMap(([, { metrics }]) => Object.keys(metrics)))],
    stormsMs: scenario.storms.toSorted((a, b) => a - b),
    anomalies: scenario.anomalies.map(({ kind, type, device, metric, at, lasts, magnitude }) => {
      const from = startTs + at;
      return { kind, device: firstOf.get(type)! + device, metric, from, to: from + lasts, magnitude };
    }),
    device: (index) => {
      const type = typeOf(index);
      const { faults, interval } = type;
      return {
        signals: typeSignals(type, seed, index),
        faults,
        stepMs: interval,
        count: readings(work, interval),
      };
    },
    offsetMs: (done) => offset(profile, durationMs, done, work),
  };
}

/** Past the end of the run (the phase of a device) the plain rate goes on. */
function offset(profile: Profile, durationMs: number, done: number, work: number): number {
  return done <= work ? timeOfWorkMs(profile, durationMs, done) : durationMs + done - work;
}

/** 60 s at 3 a second are 180 readings, though 1000 / 3 is not exact. */
function readings(spanMs: number, stepMs: number): number {
  return Math.max(1, Math.floor(spanMs / stepMs + 1e-9));
}

/** Streams of the parts of a metric lie together, those of metrics apart. */
const STREAMS_PER_METRIC = 32;
const MISSING_STREAM = 900_000;

/** The signals of one device of a type; undefined for metrics it has not, or misses this time. */
export function typeSignals(type: DeviceType, seed: number, device: number): Signals {
  const metrics = new Map(Object.entries(type.metrics).map(([name, spec], i) => [name, { spec, i }]));
  return (name, ts) => {
    const found = metrics.get(name);
    if (!found) return undefined;
    const { spec, i } = found;
    if (spec.missing > 0 && uniformAt(seed, device, MISSING_STREAM + i, ts) < spec.missing) return undefined;
    let value = 0;
    for (const [k, part] of spec.parts.entries()) {
      value += modelValue(part, { seed, device, stream: 1_000 + i * STREAMS_PER_METRIC + k }, ts);
    }
    const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = spec;
    return Number(Math.min(max, Math.max(min, value)).toFixed(spec.decimals));
  };
}
