/**
 * `sluice sim record` and `sluice sim play`: real traffic into a file, and back out at its own pace or another.
 */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { type Command, Option } from "commander";
import { SluiceError } from "../../contracts/errors.js";
import { readCsv } from "../../device-sim/csv-source.js";
import { play } from "../../device-sim/play.js";
import { record } from "../../device-sim/record.js";
import { readRecording } from "../../device-sim/recording.js";
import { systemClock } from "../../runtime/clock.js";
import { Progress, printJson, printLine } from "../output.js";
import { configOf, withSettings } from "../settings.js";
import { stopSignal } from "./serve.js";

export function simRecordCommand(sim: Command): void {
  withSettings(
    sim
      .command("record")
      .description("subscribe, and write every message with its time of arrival to a file, until Ctrl-C")
      .argument("<file>", "must not exist")
      .option("--topic <filter...>", "what to subscribe to", ["devices/+/telemetry"])
      .option("--url <url>", "MQTT address; default from the configuration")
      .option("--json", "print how much was recorded as one JSON document"),
  ).action(
    async (path: string, options: { topic: string[]; url?: string; json?: true }, command: Command) => {
      const progress = new Progress();
      const messages = await record({
        ...{
          url: urlOf(options, command),
          topics: options.topic,
          path,
          clock: systemClock,
          signal: stopSignal(),
        },
        onReady: () => process.stderr.write(`recording to ${path}; Ctrl-C ends it\n`),
        onMessage: (count) => {
          if (count % 100 === 0) progress.show(`${count} messages`);
        },
      });
      progress.clear();
      if (options.json) printJson({ messages });
      else printLine(`${messages} messages`);
    },
  );
}

interface PlayFlags {
  speed: string;
  qos: string;
  window: string;
  format?: "csv" | "recording";
  device?: string;
  url?: string;
  json?: true;
}

export function simPlayCommand(sim: Command): void {
  withSettings(
    sim
      .command("play")
      .description("publish what sim record wrote, or the rows of a CSV file, in their order")
      .argument("<file>", "a recording, or CSV with the columns timestamp or ts, device, and metrics")
      .option("--speed <n>", "times as fast as recorded, such as 10x; max: as fast as acks allow", "1x")
      .option("--qos <n>", "0, 1 or 2", "1")
      .option("--window <n>", "messages in flight at most", "100")
      .addOption(
        new Option("--format <name>", "default: csv when the file name ends in .csv").choices([
          "csv",
          "recording",
        ]),
      )
      .option("--device <id>", "device of all rows of a CSV file")
      .option("--url <url>", "MQTT address; default from the configuration")
      .option("--json", "print what was sent as one JSON document"),
  ).action(async (path: string, flags: PlayFlags, command: Command) => {
    const progress = new Progress();
    const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
    const isCsv = (flags.format ?? (/\.csv$/i.test(path) ? "csv" : "recording")) === "csv";
    const signal = stopSignal();
    const result = await play({
      ...{ url: urlOf(flags, command), clock: systemClock, signal, speed: speedOf(flags.speed) },
      ...{ qos: qosOf(flags.qos), window: windowOf(flags.window) },
      source: isCsv ? readCsv(lines, flags.device) : readRecording(lines),
      onProgress: ({ sent, acked }) => progress.show(`${sent} sent  ${acked} acked`),
    });
    progress.clear();
    if (flags.json) printJson(result);
    else printLine(`${result.sent} sent, ${result.acked} acked, ${result.resent} sent again`);
    if (result.acked < result.sent) {
      throw new SluiceError("ABORTED", `${result.sent - result.acked} messages were not acked`);
    }
  });
}

function urlOf({ url }: { url?: string }, command: Command): string {
  const { mqtt } = configOf(command);
  return url ?? `mqtt://${mqtt.host}:${mqtt.port}`;
}

function speedOf(text: string): number {
  if (text === "max") return Number.POSITIVE_INFINITY;
  const speed = Number(/^(\d+(?:\.\d+)?)x?$/.exec(text)?.[1]);
  if (speed > 0) return speed;
  throw new SluiceError("CONFIG_INVALID", `--speed ${text}: expected a number such as 10x, or max`);
}

function qosOf(text: string): 0 | 1 | 2 {
  const qos = Number(text);
  if (qos === 0 || qos === 1 || qos === 2) return qos;
  throw new SluiceError("CONFIG_INVALID", `--qos ${text}: expected 0, 1 or 2`);
}

function windowOf(text: string): number {
  const window = Number(text);
  if (Number.isInteger(window) && window >= 1 && window <= 10_000) return window;
  throw new SluiceError("CONFIG_INVALID", `--window ${text}: expected 1 to 10000`);
}
