/**
 * What all channels share: how their settings are written, and how secrets get into them.
 *
 * A setting may name an environment variable as `${NAME}`, so that no secret needs to stand in a file.
 */
import { z } from "zod";
import { SluiceError } from "../../contracts/errors.js";
import type { Clock } from "../../contracts/ports/clock.js";
import { parseDurationMs } from "../../contracts/window.js";

export interface ChannelDeps {
  clock: Clock;
  env: Readonly<Record<string, string | undefined>>;
}

/** The keys every channel has, which the notifier itself reads. */
export const common = {
  name: z.string().optional(),
  send_resolved: z.boolean().optional(),
  rate_limit: z.unknown().optional(),
  timeout: z
    .union([z.string(), z.number()])
    .transform((value, context) => {
      const ms = typeof value === "number" ? value : parseDurationMs(value);
      if (ms !== undefined && Number.isSafeInteger(ms) && ms > 0) return ms;
      context.addIssue({ code: "custom", message: `${JSON.stringify(value)} is not a duration such as 10s` });
      return z.NEVER;
    })
    .default(10_000),
};

export const httpUrl = z.url({ protocol: /^https?$/, error: "must be an http or https address" });

/** A value for a header: one line, else it could bring in others. */
export const headerText = z.string().regex(/^[\t\x20-\x7e\x80-\xff]*$/, "must be one line");

/**
 * Checks the settings of one channel.
 * @throws SluiceError CONFIG_INVALID that names what is wrong, never a value
 */
export function parseSettings<S extends z.ZodType>(
  schema: S,
  settings: unknown,
  id: string,
  { env }: ChannelDeps,
): z.output<S> {
  const parsed = schema.safeParse(expand(settings, id, env));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new SluiceError("CONFIG_INVALID", `channel ${id}: ${problems.join("; ")}`);
}

/** Puts in what `${NAME}` stands for, at any depth. */
function expand(value: unknown, id: string, env: ChannelDeps["env"]): unknown {
  if (typeof value === "string") {
    return value.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, name: string) => {
      const found = env[name];
      if (found === undefined || found === "")
        throw new SluiceError("CONFIG_INVALID", `channel ${id}: the environment variable ${name} is not set`);
      return found;
    });
  }
  if (Array.isArray(value)) return value.map((one) => expand(one, id, env));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, expand(one, id, env)]));
}
