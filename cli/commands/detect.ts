/**
 * `sluice detect`: run a detector over CSV files (`timestamp,value` in; `timestamp,value,anomaly_score` out).
 */
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readdir, stat } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { SluiceError } from "../../contracts/errors.js";
import { CsvError, detectCsv } from "../../processors/anomaly/csv.js";
import { DEFAULT_DETECTOR, detectors } from "../../processors/anomaly/registry.js";
import { Progress, printJson } from "../output.js";

interface DetectOptions {
  in?: string;
  out?: string;
  detector: string;
  params: string;
  json?: boolean;
}

export function detectCommand(program: Command): void {
  program
    .command("detect")
    .description("run a detector over CSV files: timestamp,value in; timestamp,value,anomaly_score out")
    .option("--in <file or dir>", "input; a folder is searched for .csv files; standard input when absent")
    .option("--out <file or dir>", "output: same file names in this folder; standard output when absent")
    .option("--detector <name>", `one of ${Object.keys(detectors).join(", ")}`, DEFAULT_DETECTOR)
    .option("--params <json>", "the detector's parameters", "{}")
    .option("--json", "print what was done as one JSON document (with --out)")
    .action((options: DetectOptions) => detect(options));
}

async function detect(options: DetectOptions): Promise<void> {
  const params = checkedParams(options);
  const { in: source, out } = options;
  if (source === undefined) return scoreFile(undefined, out, options.detector, params);
  const isFolder = (await stat(source).catch(unreadable(source))).isDirectory();
  if (isFolder && out === undefined)
    throw new SluiceError("CONFIG_INVALID", "--in names a folder: say --out too");
  const files = isFolder ? await csvFiles(source) : [source];
  if (files.length === 0) throw new SluiceError("CONFIG_INVALID", `${source}: no .csv files in this folder`);
  const progress = new Progress();
  for (const [i, file] of files.entries()) {
    progress.show(`${i + 1}/${files.length} ${file}`);
    const target =
      out === undefined
        ? undefined
        : await targetOf(file, isFolder ? relative(source, file) : undefined, out);
    await scoreFile(file, target, options.detector, params);
  }
  progress.clear();
  if (options.json && out !== undefined) printJson({ files: files.length, detector: options.detector, out });
}

function checkedParams({ detector, params }: DetectOptions): unknown {
  const kind = detectors[detector];
  if (!kind)
    throw new SluiceError(
      "CONFIG_INVALID",
      `--detector: no ${detector}; there is ${Object.keys(detectors).join(", ")}`,
    );
  let parsed: unknown;
  try {
    parsed = JSON.parse(params);
  } catch (error) {
    throw new SluiceError("CONFIG_INVALID", `--params: ${(error as Error).message}`, { cause: error });
  }
  const checked = kind.params.safeParse(parsed);
  if (checked.success) return parsed;
  const problems = checked.error.issues.map(({ path, message }) => `--params ${path.join(".")}: ${message}`);
  throw new SluiceError("CONFIG_INVALID", problems.join("\n"));
}

async function csvFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".csv"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Inside a folder the relative name is kept; a single file goes to the file named, or into the folder named. */
async function targetOf(file: string, inFolder: string | undefined, out: string): Promise<string> {
  const outIsFolder =
    inFolder !== undefined ||
    (await stat(out).then(
      (s) => s.isDirectory(),
      () => !out.endsWith(".csv"),
    ));
  const target = outIsFolder ? join(out, inFolder ?? basename(file)) : out;
  await mkdir(dirname(target), { recursive: true });
  return target;
}

async function scoreFile(
  file: string | undefined,
  target: string | undefined,
  detector: string,
  params: unknown,
): Promise<void> {
  const input = file === undefined ? process.stdin : createReadStream(file);
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  const scored = Readable.from(withNewlines(detectCsv(lines, detector, params)));
  try {
    if (target === undefined) await pipeline(scored, process.stdout, { end: false });
    else await pipeline(scored, createWriteStream(target));
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new SluiceError("CONFIG_INVALID", `${file ?? "standard input"}: ${error.message}`, {
      cause: error,
    });
  }
}

async function* withNewlines(lines: AsyncIterable<string>): AsyncIterable<string> {
  for await (const line of lines) yield `${line}\n`;
}

function unreadable(path: string): (error: Error) => never {
  return (error) => {
    throw new SluiceError("CONFIG_INVALID", `cannot read ${path}: ${error.message}`, { cause: error });
  };
}
