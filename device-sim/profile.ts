/**
 * The course of the load: how the rate of every device rises and falls over a run.
 *
 * A profile is a multiplier m(t) on the device's own rate. Reading n is due when the area under m reaches n steps, so
 * the schedule is exact however the rate moves, and needs no state.
 */
import { z } from "zod";
import { duration } from "./duration.js";

export const profileSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("steady") }),
  /** From one multiple of the rate to another, in a straight line over the whole run. */
  z.strictObject({ kind: z.literal("ramp"), from: z.number().min(0), to: z.number().min(0) }),
  /** At the start of every `every`, for `lasts`, the rate is `factor` times as high. */
  z.strictObject({ kind: z.literal("burst"), every: duration, lasts: duration, factor: z.number().min(1) }),
  /** A wave that begins at its lowest: the rate swings by `depth` of itself around its mean. */
  z.strictObject({ kind: z.literal("diurnal"), period: duration, depth: z.number().min(0).max(1) }),
]);

export type Profile = z.infer<typeof profileSchema>;

/** The highest multiple of the rate. */
export function peakOf(profile: Profile): number {
  switch (profile.kind) {
    case "steady":
      return 1;
    case "ramp":
      return Math.max(profile.from, profile.to);
    case "burst":
      return profile.factor;
    case "diurnal":
      return 1 + profile.depth;
  }
}

/** The area under m from 0 to `atMs`, in milliseconds at the plain rate; never falls. */
export function workMs(profile: Profile, durationMs: number, atMs: number): number {
  switch (profile.kind) {
    case "steady":
      return atMs;
    case "ramp":
      return profile.from * atMs + ((profile.to - profile.from) * atMs * atMs) / (2 * durationMs);
    case "burst": {
      const { every, lasts, factor } = profile;
      const bursting = Math.floor(atMs / every) * Math.min(lasts, every) + Math.min(atMs % every, lasts);
      return atMs + (factor - 1) * bursting;
    }
    case "diurnal": {
      const radiansPerMs = (2 * Math.PI) / profile.period;
      return atMs - (profile.depth / radiansPerMs) * Math.sin(radiansPerMs * atMs);
    }
  }
}

/** When the area under m reaches `work`: the inverse of {@link workMs}, at most `durationMs`. */
export function timeOfWorkMs(profile: Profile, durationMs: number, work: number): number {
  if (profile.kind === "steady") return work;
  let [low, high] = [0, durationMs];
  // Halving the longest run 60 times leaves less than a millisecond can show.
  for (let i = 0; i < 60 && high - low > 1e-4; i++) {
    const middle = (low + high) / 2;
    if (workMs(profile, durationMs, middle) < work) low = middle;
    else high = middle;
  }
  return high;
}
