/**
 * `sluice dlq list|show`: what could not become a reading, and why.
 */
import type { Command } from "commander";
import type { DeadLetterRecord } from "../../contracts/dead-letter.js";
import { SluiceError } from "../../contracts/errors.js";
import type { Log } from "../../contracts/ports/log.js";
import { TOPICS } from "../../contracts/topics.js";
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
}

async function list(log: Log, options: { limit: string; reason?: string; json?: boolean }): Promise<void> {
  const limit = Number(options.limit);
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new SluiceError("CONFIG_INVALID", `--limit: ${options.limit} is not a positive whole number`);
  }
  let newest: DeadLetterRecord[] = [];
  for await (const letter of deadLetters(log)) {
    if (options.reason !== undefined && letter.reason !== options.reason) continue;
    newest.push(letter);
    if (newest.length > 2 * limit) newest = newest.sort(byTime).slice(-limit);
  }
  newest = newest.sort(byTime).slice(-limit);
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
      for (const record of batch)
        yield JSON.parse(Buffer.from(record.value).toString("utf8")) as DeadLetterRecord;
    }
  }
}

function byTime(a: DeadLetterRecord, b: DeadLetterRecord): number {
  return a.ingestTs - b.ingestTs;
}
