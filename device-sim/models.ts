/**
 * Signal models of a scenario: what a metric is made of. A metric is the sum of its parts.
 *
 * Each is a pure function of (seed, device, stream, event time), so that a reading can be made again from its
 * coordinates. `stream` is different for every part of every metric.
 */
import { z } from "zod";
import { duration } from "./duration.js";
import { uniformAt } from "./random.js";
import { bell, DAY_MS, HOUR_MS, smooth } from "./signals.js";

const share = z.number().min(0).max(1);

export const modelSchema = z.discriminatedUnion("model", [
  /** A value, differing from device to device by up to `vary` to either side. */
  z.strictObject({ model: z.literal("constant"), value: z.number(), vary: z.number().min(0).default(0) }),
  /** A daily wave around 0, highest at `peakHour` (UTC). */
  z.strictObject({
    model: z.literal("diurnal"),
    swing: z.number(),
    peakHour: z.number().min(0).lt(24).default(14),
  }),
  /** Independent from reading to reading, roughly normal. */
  z.strictObject({ model: z.literal("noise"), deviation: z.number().min(0) }),
  /** Wanders within `spread` to either side of 0; `over` is how long it takes to get somewhere else. */
  z.strictObject({ model: z.literal("walk"), spread: z.number().min(0), over: duration }),
  /** A machine: for stretches of `stretch` it runs (with the probability `duty`) or idles; `rough` is the rectified noise on top. */
  z.strictObject({
    model: z.literal("vibration"),
    running: z.number(),
    idle: z.number(),
    rough: z.number().min(0),
    duty: share.default(0.8),
    stretch: duration.prefault("10m"),
  }),
  /** Percent: falls from 100 to 10 over `lasts`, is then charged, at another time on every device. */
  z.strictObject({ model: z.literal("battery"), lasts: duration }),
  /** A meter that rises by `perSecond`, a whole number, since 2024. */
  z.strictObject({ model: z.literal("counter"), perSecond: z.number().min(0) }),
  /** 1 for stretches of `stretch` with the probability `duty`, else 0. */
  z.strictObject({ model: z.literal("onoff"), duty: share.default(0.5), stretch: duration.prefault("10m") }),
  /** One coordinate of a round trip, degrees: give a device two metrics with the same numbers, one for each axis. */
  z.strictObject({
    model: z.literal("track"),
    axis: z.enum(["latitude", "longitude"]),
    centre: z.tuple([z.number().min(-80).max(80), z.number().min(-180).max(180)]),
    radiusKm: z.number().positive().max(1_000),
    lap: duration,
  }),
]);

export type Model = z.infer<typeof modelSchema>;

export interface At {
  seed: number;
  device: number;
  stream: number;
}

const COUNTER_EPOCH_MS = 1_704_067_200_000;
const KM_PER_DEGREE = 111.32;
/** Both axes of a track have to agree on where a device is, whatever their streams. */
const TRACK_STREAM = 7_777;

/** The part's value at event time `ts`. */
export function modelValue(part: Model, { seed, device, stream }: At, ts: number): number {
  switch (part.model) {
    case "constant":
      return part.value + part.vary * (2 * uniformAt(seed, device, stream) - 1);
    case "diurnal":
      return part.swing * Math.cos((2 * Math.PI * (ts - part.peakHour * HOUR_MS)) / DAY_MS);
    case "noise":
      return part.deviation * bell(seed, device, stream, ts);
    case "walk":
      return part.spread * walk(seed, device, stream, ts, part.over);
    case "vibration": {
      const runs = uniformAt(seed, device, stream, Math.floor(ts / part.stretch)) < part.duty;
      return (runs ? part.running : part.idle) + Math.abs(part.rough * bell(seed, device, stream, ts));
    }
    case "battery":
      return 100 - 90 * ((ts / part.lasts + uniformAt(seed, device, stream)) % 1);
    case "counter":
      return Math.max(0, Math.floor(((ts - COUNTER_EPOCH_MS) / 1_000) * part.perSecond));
    case "onoff":
      return uniformAt(seed, device, stream, Math.floor(ts / part.stretch)) < part.duty ? 1 : 0;
    case "track":
      return track(part, seed, device, ts);
  }
}

/** In [-1, 1]: smooth noise on ever finer grids, half as strong each time, as a random walk looks at every scale. */
function walk(seed: number, device: number, stream: number, ts: number, overMs: number): number {
  let sum = 0;
  for (let octave = 0; octave < 4; octave++) {
    sum += smooth(seed, device, stream + octave * 10_000, ts, overMs / 2 ** octave) / 2 ** (octave + 1);
  }
  return sum;
}

function track(part: Extract<Model, { model: "track" }>, seed: number, device: number, ts: number): number {
  const turn = 2 * Math.PI * (ts / part.lap + uniformAt(seed, device, TRACK_STREAM));
  // No driver keeps to a perfect circle.
  const km = part.radiusKm * (1 + 0.1 * smooth(seed, device, TRACK_STREAM, ts, part.lap / 8));
  const [latitude, longitude] = part.centre;
  if (part.axis === "latitude") return latitude + (km * Math.sin(turn)) / KM_PER_DEGREE;
  return longitude + (km * Math.cos(turn)) / (KM_PER_DEGREE * Math.cos((latitude * Math.PI) / 180));
}
