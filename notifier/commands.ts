/**
 * What people tell the notifier: silence, end a silence, acknowledge. Commands are records of a topic, so that they
 * are durable, shared by all processes, and there again after a restart.
 *
 * The topic has one partition: its order is the order in which commands hold, and whoever consumes it is the one
 * active notifier.
 */
import { hash } from "node:crypto";
import { z } from "zod";
import type { AppendRecord } from "../contracts/ports/log.js";
import type { TopicSpec } from "../contracts/topics.js";
import { matchersSchema } from "./core/matchers.js";

/** Kept for a year. The notifier's own state holds what is in force, so it never needs the old ones. */
export const ALERT_COMMANDS: TopicSpec = {
  name: "telemetry.alert-commands",
  partitions: 1,
  retentionMs: 365 * 86_400_000,
};

const id = z.string().regex(/^[A-Za-z0-9._:-]{1,64}$/, "letters, digits and . _ : - only, at most 64");
const timeMs = z.int().nonnegative();
const author = z.string().min(1).max(200);
const comment = z.string().max(2_000).default("");

/** Matching alerts wake nobody in [start, end). One with a known id replaces it. */
const silenceCommand = z
  .strictObject({
    v: z.literal(1),
    kind: z.literal("silence"),
    id,
    matchers: matchersSchema.refine(
      (matchers) => Object.values(matchers).some((globs) => globs !== undefined),
      'name at least one label: {device: "*"} silences everything',
    ),
    start: timeMs,
    end: timeMs,
    author,
    comment,
  })
  .refine(({ start, end }) => end > start, { path: ["end"], message: "must be after start" });

/** One record of `telemetry.alert-commands` (version 1). Times are epoch milliseconds. */
export const alertCommandSchema = z.union([
  silenceCommand,
  /** Ends a silence. */
  z.strictObject({ v: z.literal(1), kind: z.literal("expire"), id, author, at: timeMs }),
  /** A person has taken the alert `id`: no more repeats, no escalation. */
  z.strictObject({ v: z.literal(1), kind: z.literal("ack"), id, author, comment, at: timeMs }),
]);
export type AlertCommand = z.output<typeof alertCommandSchema>;

/** The same silence asked for twice is one silence. */
export function silenceId(silence: {
  matchers: z.input<typeof matchersSchema>;
  start: number;
  end: number;
  author: string;
}): string {
  const { matchers, start, end, author } = silence;
  const text = JSON.stringify([Object.entries(matchers).sort(), start, end, author]);
  return hash("sha256", text, "hex").slice(0, 32);
}

/**
 * The record of a command, to be appended to {@link ALERT_COMMANDS}.
 * @throws ZodError when it is none
 */
export function commandRecord(command: z.input<typeof alertCommandSchema>, timestamp: number): AppendRecord {
  const checked = alertCommandSchema.parse(command);
  return { key: checked.id, value: Buffer.from(JSON.stringify(checked)), timestamp };
}

/** The command, or a sentence that says why it is none. */
export function parseCommand(bytes: Uint8Array): AlertCommand | string {
  try {
    const parsed = alertCommandSchema.safeParse(JSON.parse(Buffer.from(bytes).toString("utf8")));
    return parsed.success ? parsed.data : z.prettifyError(parsed.error);
  } catch (error) {
    return `not JSON: ${(error as Error).message}`;
  }
}
