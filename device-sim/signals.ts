/**
 * What a healthy device measures: each signal is a pure function of (seed, device index, event time), so that a
 * reading can be made again from its coordinates, in any order, on any machine.
 */
import { uniformAt } from "./random.js";

/** The metrics every simulated device reports, in ledger order. */
export const METRICS = ["temperature", "humidity", "vibration", "battery", "counter"] as const;
export type Metric = (typeof METRICS)[number];

/** The noise level of each metric, in its own unit: what anomalies are scaled by. */
export const NOISE: Record<Metric, number> = {
  temperature: 0.15,
  humidity: 0.6,
  vibration: 0.03,
  battery: 0.05,
  counter: 1,
};

export const DAY_MS = 86_400_000;
export const HOUR_MS = 3_600_000;
/** 2024-01-01T00:00:00Z: where counters start. */
const COUNTER_EPOCH_MS = 1_704_067_200_000;

/** One value: `metric` of the device at event time `ts` (epoch milliseconds); undefined where it measures none. */
export type Signals = (metric: string, ts: number) => number | undefined;

/** The signals of one device. */
export function createSignals(seed: number, device: number): Signals {
  const trait = (index: number, low: number, high: number) =>
    low + (high - low) * uniformAt(seed, device, 1_000 + index);
  const site = {
    baseC: trait(0, 16, 26),
    swingC: trait(1, 1.5, 5),
    peakMs: trait(2, 13, 16) * HOUR_MS,
    humidity: trait(3, 40, 60),
    idle: trait(4, 0.05, 0.2),
    running: trait(5, 0.6, 1.6),
    chargeMs: trait(6, 20, 90) * DAY_MS,
    chargePhase: trait(7, 0, 1),
    perSecond: trait(8, 0.5, 5),
  };
  const noise = (metric: number, ts: number) => bell(seed, device, metric, ts);
  const wander = (metric: number, ts: number, gridMs: number) => smooth(seed, device, metric, ts, gridMs);
  const diurnal = (ts: number) => Math.cos((2 * Math.PI * (ts - site.peakMs)) / DAY_MS);

  return (metric, ts) => {
    switch (metric) {
      case "temperature":
        return round(
          site.baseC +
            site.swingC * diurnal(ts) +
            0.6 * wander(0, ts, HOUR_MS / 2) +
            NOISE.temperature * noise(0, ts),
          2,
        );
      case "humidity": {
        // Warmer air holds more water, so relative humidity falls as the day warms up.
        const value = site.humidity - 2 * site.swingC * diurnal(ts) + 3 * wander(1, ts, HOUR_MS);
        return round(clamp(value + NOISE.humidity * noise(1, ts), 0, 100), 1);
      }
      case "vibration": {
        // The machine runs for most ten-minute stretches and idles in the others.
        const level = uniformAt(seed, device, 2, Math.floor(ts / 600_000)) < 0.8 ? site.running : site.idle;
        return round(level + Math.abs(NOISE.vibration * noise(2, ts)), 4);
      }
      case "battery": {
        const used = (ts / site.chargeMs + site.chargePhase) % 1;
        return round(100 - 90 * used + NOISE.battery * noise(3, ts), 2);
      }
      case "counter":
        return Math.max(0, Math.floor(((ts - COUNTER_EPOCH_MS) / 1_000) * site.perSecond));
    }
  };
}

/** Roughly normal, mean 0, deviation 1: the sum of four uniforms, scaled. */
export function bell(seed: number, device: number, metric: number, ts: number): number {
  let sum = 0;
  for (let i = 0; i < 4; i++) sum += uniformAt(seed, device, metric, ts, i);
  return (sum - 2) * Math.sqrt(3);
}

/** Slow, continuous noise in [-1, 1]: hashed values on a time grid, joined by a smoothstep. */
export function smooth(seed: number, device: number, metric: number, ts: number, gridMs: number): number {
  const cell = Math.floor(ts / gridMs);
  const x = ts / gridMs - cell;
  const from = uniformAt(seed, device, metric + 100, cell);
  const to = uniformAt(seed, device, metric + 100, cell + 1);
  return 2 * (from + (to - from) * x * x * (3 - 2 * x)) - 1;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

/** As a sensor of that resolution would report it. */
function round(value: number, decimals: number): number {
  const scale = 10 ** decimals;
  return Math.round(value * scale) / scale;
}
