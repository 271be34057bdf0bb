/**
 * The latest dead letters, read from the tail of their topic.
 */
import { z } from "zod";
import type { DeadLetterRecord } from "../../contracts/dead-letter.js";
import { hasCode } from "../../contracts/errors.js";
import type { Log, LogRecord } from "../../contracts/ports/log.js";
import { TOPICS } from "../../contracts/topics.js";
import { limitParam } from "../query.js";
import { json, queryRoute, type Route } from "../route.js";
import {
  type ApiDeadLetter,
  type ApiDeadLetterList,
  deadLetterListSchema,
  deadLetterSchema,
  errorSchema,
} from "../schemas.js";

/** Payload shown per dead letter; `sluice dlq` gives all of it. */
const SHOWN_BYTES = 16 * 1_024;

export function deadLetterRoutes(log: Log): Route[] {
  return [
    queryRoute({
      path: "/api/v1/deadletters",
      summary: "The latest dead letters with their reasons and raw bytes, newest first",
      query: z.strictObject({ limit: limitParam(500, 50) }),
      responses: {
        200: json("The dead letters", deadLetterListSchema),
        400: json("The limit is wrong", errorSchema),
        503: json("The log is unavailable: try again", errorSchema),
      },
      handler: ({ limit }) => latestDeadLetters(log, limit),
    }),
  ];
}

/** The newest `limit` of all partitions, by the time they came in. */
async function latestDeadLetters(log: Log, limit: number): Promise<ApiDeadLetterList> {
  const letters: ApiDeadLetter[] = [];
  let unreadable = 0;
  for (const { partition, earliest, next } of await rangesOrNone(log)) {
    if (next <= earliest) continue;
    for await (const batch of tail(log, partition, Math.max(earliest, next - limit), next)) {
      for (const record of batch) {
        const letter = toApiDeadLetter(record);
        if (letter) letters.push(letter);
        else unreadable++;
      }
    }
  }
  // A retry that went well adds a second record of the same id: the later one holds.
  const retried = new Set(letters.filter(({ retriedAt }) => retriedAt !== undefined).map(({ id }) => id));
  const shown = letters.filter(({ id, retriedAt }) => retriedAt !== undefined || !retried.has(id));
  shown.sort((a, b) => b.ingestTs - a.ingestTs || b.offset - a.offset);
  return { deadLetters: shown.slice(0, limit), unreadable };
}

/** A topic that was never made holds nothing. */
async function rangesOrNone(log: Log) {
  try {
    return await log.ranges(TOPICS.invalid);
  } catch (error) {
    if (hasCode(error, "LOG_UNKNOWN_TOPIC")) return [];
    throw error;
  }
}

/** Retention may overtake us between the look at the range and the read: then what is left is the tail. */
async function* tail(log: Log, partition: number, from: number, to: number): AsyncIterable<LogRecord[]> {
  try {
    yield* log.read(TOPICS.invalid, partition, from, { to });
  } catch (error) {
    if (!hasCode(error, "LOG_OFFSET_OUT_OF_RANGE")) throw error;
    const range = (await log.ranges(TOPICS.invalid)).find((candidate) => candidate.partition === partition);
    if (range && range.earliest < to) yield* log.read(TOPICS.invalid, partition, range.earliest, { to });
  }
}

/** @returns undefined for a record that is not a dead letter of version 1 (anybody can write to a topic) */
function toApiDeadLetter(record: LogRecord): ApiDeadLetter | undefined {
  let parsed: DeadLetterRecord;
  try {
    parsed = JSON.parse(Buffer.from(record.value).toString("utf8")) as DeadLetterRecord;
  } catch {
    return undefined;
  }
  if (parsed === null || typeof parsed !== "object" || parsed.v !== 1) return undefined;
  const raw = Buffer.from(String(parsed.payload), "base64").subarray(0, SHOWN_BYTES);
  const { v: _v, ...letter } = parsed;
  const shown = {
    ...letter,
    partition: record.partition,
    offset: record.offset,
    payload: raw.toString("base64"),
    text: utf8OrNull(raw, raw.length === SHOWN_BYTES),
  };
  const result = deadLetterSchema.safeParse(shown);
  return result.success ? result.data : undefined;
}

/** `cut`: the bytes may end inside a character, which alone does not make them binary. */
function utf8OrNull(bytes: Uint8Array, cut: boolean): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes, { stream: cut });
  } catch {
    return null;
  }
}
