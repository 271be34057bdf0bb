/**
 * `sluice topics`: what each topic holds.
 */
import type { Command } from "commander";
import type { Log } from "../../contracts/ports/log.js";
import { TOPICS } from "../../contracts/topics.js";
import { printJson, printTable } from "../output.js";
import { withSettings } from "../settings.js";
import { withLog } from "../with-log.js";

export function topicsCommand(program: Command): void {
  withSettings(
    program.command("topics").description("list the topics with their partitions and retained offsets"),
  )
    .option("--json", "one JSON document on stdout")
    .action((_options, command: Command) => withLog(command, (log) => list(log, command.opts().json)));
}

async function list(log: Log, json: boolean | undefined): Promise<void> {
  const topics = await Promise.all(
    Object.values(TOPICS).map(async (topic) => ({ topic, partitions: await log.ranges(topic) })),
  );
  if (json) return printJson({ topics });
  const rows = topics.flatMap(({ topic, partitions }) =>
    partitions.map(({ partition, earliest, next }) => [topic, partition, earliest, next, next - earliest]),
  );
  printTable(["topic", "partition", "earliest", "next", "records"], rows);
}
