/**
 * `sluice dlq list|show|retry`: what could not become a reading, why, and another try after the cause is mended.
 */
import type { Command } from "commander";
import type { DeadLetterRecord } from "../../contracts/dead-letter.js";
import { SluiceError } from "../../contracts/errors.js";
import type { Log } from "../../contracts/ports/log.js";
import type { ReadingRecord } from "../../contracts/reading.js";
import { TOPICS } from "../../contracts/topics.js";
import { retryDeadLetter } from "../../gateway/ingest/retry.js";
import { DEFAULT_LIMITS } from "../../gateway/limits.js";
import { systemClock } from "../../runtime/clock.js";
import type { Config } from "../../runtime/config/schema.js";
import { gatewayLimits } from "../gateway-limits.js";
import { printJson, printLine, printTable } from "../output.js";
import { withSettings } from "../settings.js";
import { withLog } from "../with-log.js";

export function dlqCommands(program: Command): void {
  const dlq = program.command("dlq").description("dead letters: messages that could not become readings");
  withSettings(dlq.command("list").description("list the newest dead letters"))
    .option("--limit <n>", "at most this many", "50")
    .option("--reason <code>", "only this reason")
    .option("--json", "one JSON document on stdout")
    .action((_options, command: Command) => withLog(command, (log) => list(log, command.opts())));
  withSettings(dlq.command("show <id>").description("show one dead letter with its raw bytes"))
    .option("--json", "one JSON document on stdout")
    .action((id: string, _options, command: Command) =>
      withLog(command, (log) => show(log, id, command.opts().json)),
    );
  withSettings(
    dlq
      .command("retry [ids...]")
      .description("give dead letters to the rules as they are now; what becomes readings counts once")
      .option("--all", "every dead letter that was not retried yet")
      .option("--reason <code>", "with --all: only this reason")
      .option("--json", "one JSON document on stdout"),
  ).action((ids: string[], _options, command: Command) =>
    withLog(command, (log, config) => retry(log, config, ids, command.opts())),
  );
}

interface RetryOptions {
  all?: boolean;
  reason?: string;
  json?: boolean;
}

async function retry(log: Log, config: Config, ids: readonly string[], options: RetryOptions): Promise<void> {
  if (options.all === ids.length > 0)
    throw new SluiceError("CONFIG_INVALID", "name dead letters, or say --all");
  const wanted = new Set(ids);
  const limits = { ...DEFAULT_LIMITS, ...gatewayLimits(config) };
  const stillInvalid: { id: string; reason: string; detail: string }[] = [];
  let retried = 0;
  for (const letter of await waiting(log)) {
    if (
      options.all
        ? options.reason !== undefined && letter.reason !== options.reason
        : !wanted.delete(letter.id)
    )
      continue;
    const outcome = retryDeadLetter(letter, limits);
    if (outcome.kind === "still_invalid")
      stillInvalid.push({ id: letter.id, reason: outcome.reason, detail: outcome.detail });
    else {
      await appendRetried(log, letter, outcome.readings);
      retried++;
    }
  }
  if (options.json) printJson({ retried, stillInvalid, unknown: [...wanted] });
  else {
    for (const { id, reason, detail } of stillInvalid) printLine(`${id}  still ${reason}: ${detail}`);
    printLine(`${retried} became readings, ${stillInvalid.length} are still invalid`);
  }
  if (wanted.size > 0)
    throw new SluiceError("CONFIG_INVALID", `not waiting for a retry: ${[...wanted].join(", ")}`);
}

/** Readings first, then the note that they are there: a crash between the two leads to a repeat, which counts once. */
async function appendRetried(
  log: Log,
  letter: DeadLetterRecord,
  readings: readonly ReadingRecord[],
): Promise<void> {
  const now = systemClock.now();
  await log.append(
    TOPICS.readings,
    readings.map((reading) => ({
      key: reading.deviceId,
      value: Buffer.from(JSON.stringify(reading)),
      timestamp: now,
    })),
  );
  const key = letter.deviceId ?? letter.clientId;
  const value = Buffer.from(JSON.stringify({ ...letter, retriedAt: now } satisfies DeadLetterRecord));
  await log.append(TOPICS.invalid, [{ ...(key !== undefined && { key }), value, timestamp: now }]);
}

/** Dead letters without a successful retry, oldest first. */
async function waiting(log: Log): Promise<DeadLetterRecord[]> {
  const letters = new Map<string, DeadLetterRecord>();
  const retried = new Set<string>();
  for await (const letter of deadLetters(log)) {
    if (letter.retriedAt !== undefined) retried.add(letter.id);
    else letters.set(letter.id, letter);
  }
  return [...letters.values()].filter(({ id }) => !retried.has(id)).sort(byTime);
}

async function list(log: Log, options: { limit: string; reason?: string; json?: boolean }): Promise<void> {
  const limit = Number(options.limit);
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new SluiceError("CONFIG_INVALID", `--limit: ${options.limit} is not a positive whole number`);
  }
  let newest: DeadLetterRecord[] = [];
  const retried = new Set<string>();
  for await (const letter of deadLetters(log)) {
    if (letter.retriedAt !== undefined) {
      retried.add(letter.id);
      continue;
    }
    if (options.reason !== undefined && letter.reason !== options.reason) continue;
    newest.push(letter);
    if (newest.length > 2 * limit) newest = newest.sort(byTime).slice(-limit);
  }
  newest = newest
    .filter(({ id }) => !retried.has(id))
    .sort(byTime)
    .slice(-limit);
  if (options.json) return printJson({ deadLetters: newest });
  const rows = newest.map(({ id, ingestTs, reason, topic, detail }) => [
    ...[new Date(ingestTs).toISOString(), reason, topic, id],
    detail.length > 80 ? `${detail.slice(0, 79)}…` : detail,
  ]);
  printTable(["time", "reason", "topic", "id", "detail"], rows);
}

async function show(log: Log, id: string, json: boolean | undefined): Promise<void> {
  for await (const letter of deadLetters(log)) {
    if (letter.id !== id) continue;
    if (json) return printJson(letter);
    const bytes = Buffer.from(letter.payload, "base64");
    for (const [name, value] of Object.entries(letter))
      if (name !== "payload") printLine(`${name.padEnd(13)}${value}`);
    printLine(`${"text".padEnd(13)}${JSON.stringify(bytes.toString("utf8"))}`);
    return printLine(`${"hex".padEnd(13)}${bytes.toString("hex")}`);
  }
  throw new SluiceError("CONFIG_INVALID", `no dead letter ${id}: see sluice dlq list`);
}

async function* deadLetters(log: Log): AsyncIterable<DeadLetterRecord> {
  for (const { partition, earliest } of await log.ranges(TOPICS.invalid)) {
    for await (const batch of log.read(TOPICS.invalid, partition, earliest)) {
      for (const record of batch) {
        const letter = parse(record.value);
        if (letter) yield letter;
        else process.stderr.write(`not a dead letter: ${TOPICS.invalid}/${partition}@${record.offset}\n`);
      }
    }
  }
}

/** Anybody can write to a topic: undefined for what is no dead letter of version 1. */
function parse(bytes: Uint8Array): DeadLetterRecord | undefined {
  try {
    const letter = JSON.parse(Buffer.from(bytes).toString("utf8")) as DeadLetterRecord | null;
    return letter?.v === 1 && typeof letter.id === "string" ? letter : undefined;
  } catch {
    return undefined;
  }
}

function byTime(a: DeadLetterRecord, b: DeadLetterRecord): number {
  return a.ingestTs - b.ingestTs;
}
