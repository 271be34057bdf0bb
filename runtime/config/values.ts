/**
 * The kinds of values settings have, as schemas: what a person writes in, what the program works with out.
 */
import { z } from "zod";
import { parseDurationMs } from "../../contracts/window.js";

export const port = z.int().min(0).max(65_535);
export const count = z.int().positive();

/** Text such as `10m` or `2 weeks`, or milliseconds, in; milliseconds out. */
export const durationMs = z.union([z.string(), z.number()]).transform((value, context) => {
  const ms = typeof value === "number" ? value : parseDurationMs(value);
  if (ms !== undefined && Number.isSafeInteger(ms) && ms >= 0) return ms;
  const message = `${JSON.stringify(value)} is not a duration such as 30s, 10m or 2 weeks`;
  context.addIssue({ code: "custom", message });
  return z.NEVER;
});

const SIZE_UNITS: Record<string, number> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/** Text such as `64MiB`, or bytes, in; bytes out. */
export const sizeBytes = z.union([z.string(), z.number()]).transform((value, context) => {
  const match = /^(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|TiB)$/.exec(String(value));
  const bytes =
    typeof value === "number" ? value : match ? Number(match[1]) * SIZE_UNITS[match[2]!]! : Number.NaN;
  if (Number.isSafeInteger(bytes) && bytes >= 0) return bytes;
  const message = `${JSON.stringify(value)} is not a size such as 512KiB, 64MiB or 2GiB`;
  context.addIssue({ code: "custom", message });
  return z.NEVER;
});

/** Window sizes by name, finest first, each a multiple of the one before. */
export const resolutionNames = z
  .array(z.string())
  .min(1)
  .superRefine((names, context) => {
    const sizes = names.map((name) => parseDurationMs(name));
    sizes.forEach((size, i) => {
      const finer = sizes[i - 1];
      if (size === undefined || size <= 0) {
        context.addIssue({
          code: "custom",
          path: [i],
          message: `"${names[i]}" is not a window size such as 10s or 1h`,
        });
      } else if (i > 0 && finer !== undefined && (size <= finer || size % finer !== 0)) {
        context.addIssue({ code: "custom", path: [i], message: `must be a multiple of ${names[i - 1]}` });
      }
    });
  });
