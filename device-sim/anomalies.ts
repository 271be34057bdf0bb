/**
 * Labelled anomalies: what is put on top of a healthy signal, where, and from when to when. The labels are the ground
 * truth that detectors are judged by.
 */
import { Random, uniformAt } from "./random.js";
import { METRICS, type Metric, NOISE, type Signals } from "./signals.js";

export const ANOMALY_KINDS = [
  "spike",
  "level_shift",
  "flat_line",
  "drift",
  "noise_burst",
  "dropout",
] as const;
export type AnomalyKind = (typeof ANOMALY_KINDS)[number];

/** One injected event. It covers event times [from, to), epoch milliseconds. */
export interface Anomaly {
  kind: AnomalyKind;
  /** Index of the device in the fleet. */
  device: number;
  metric: string;
  from: number;
  to: number;
  /**
   * In the unit of the metric: the offset of a spike or shift, the one a drift reaches at its end, the most a noise
   * burst adds to either side. Without meaning for the others.
   */
  magnitude: number;
}

export interface AnomalyPlan {
  seed: number;
  /** How many devices (the first ones of the fleet) get one event each. */
  devices: number;
  /** Taken in turn: device 0 gets the first kind. */
  kinds: readonly AnomalyKind[];
  /** Event time of the run: [from, to). */
  from: number;
  to: number;
  /** Time between two readings: how long a spike lasts. */
  stepMs: number;
}

/** Metrics whose healthy course makes every kind visible. */
const TARGETS: readonly Metric[] = METRICS.filter((metric) => metric !== "battery" && metric !== "counter");

/** Offsets as multiples of the metric's noise. */
const SIZES: Record<AnomalyKind, number> = {
  spike: 80,
  level_shift: 60,
  flat_line: 0,
  drift: 100,
  noise_burst: 60,
  dropout: 0,
};

/** Chooses events: each begins after half the run, so that a detector has something to learn from first. */
export function planAnomalies(plan: AnomalyPlan): Anomaly[] {
  const spanMs = plan.to - plan.from;
  return Array.from({ length: plan.devices }, (_, device) => {
    const random = Random.seeded(plan.seed, 0x5eed_0000 + device);
    const kind = plan.kinds[device % plan.kinds.length]!;
    const metric = TARGETS[random.int(TARGETS.length)]!;
    const from = plan.from + Math.floor(spanMs * (0.5 + 0.2 * random.float()));
    const lasts =
      kind === "spike" ? Math.max(1, Math.round(plan.stepMs)) : Math.max(1, Math.floor(spanMs * 0.2));
    return { kind, device, metric, from, to: from + lasts, magnitude: SIZES[kind] * NOISE[metric] };
  });
}

/** The signals of a device with its events on top; undefined where a dropout swallows the value. */
export function withAnomalies(signals: Signals, events: readonly Anomaly[]): Signals {
  if (events.length === 0) return signals;
  return (metric, ts) => {
    const event = events.find((e) => e.metric === metric && ts >= e.from && ts < e.to);
    return event ? disturbed(event, signals, ts) : signals(metric, ts);
  };
}

function disturbed(event: Anomaly, signals: Signals, ts: number): number | undefined {
  const { kind, metric, from, to, magnitude, device } = event;
  switch (kind) {
    case "spike":
    case "level_shift":
      return offset(signals(metric, ts), magnitude);
    case "drift":
      return offset(signals(metric, ts), (magnitude * (ts - from)) / (to - from));
    case "noise_burst":
      return offset(signals(metric, ts), magnitude * (2 * uniformAt(device, from, ts) - 1));
    case "flat_line":
      return signals(metric, from);
    case "dropout":
      return undefined;
  }
}

function offset(value: number | undefined, by: number): number | undefined {
  return value === undefined ? undefined : Math.round((value + by) * 10_000) / 10_000;
}
