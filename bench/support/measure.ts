/**
 * Clocks, medians and tables for the benches: every number a bench prints goes through here.
 *
 * Processor time is that of a whole process, all its threads and the kernel on its behalf included.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

/** What a bench prints: one table, and what must be known to read it. */
export interface Report {
  title: string;
  /** Row name to column name to value. */
  rows: Record<string, Record<string, number | string>>;
  notes: string[];
}

/** Clock ticks per second of /proc: USER_HZ, 100 on every Linux architecture Node runs on. */
const TICKS_PER_SECOND = 100;

/** Processor time used so far by another process. Linux only. @throws Error when the process is gone */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The second field is the command in brackets and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Adds up wall and processor time of the pieces of work given to it. */
export class Stopwatch {
  wallSeconds = 0;
  cpuSeconds = 0;

  async time<T>(work: () => T | Promise<T>): Promise<T> {
    const cpuFrom = process.cpuUsage();
    const from = performance.now();
    const result = await work();
    this.wallSeconds += (performance.now() - from) / 1_000;
    const { user, system } = process.cpuUsage(cpuFrom);
    this.cpuSeconds += (user + system) / 1e6;
    return result;
  }
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Rounded for people: three significant digits, whole numbers above 100. */
export function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

/** Lowest and highest, so that a reader sees how much the rounds differ. */
export function spread(numbers: readonly number[]): string {
  return `${rounded(Math.min(...numbers))} .. ${rounded(Math.max(...numbers))}`;
}

/**
 * Whole-number options of a bench, each with its default, and `--json`.
 * @throws TypeError (node:util) for an option that is not known; Error for a value that is no positive whole number
 */
export function optionsOf<K extends string>(
  defaults: Record<K, number>,
): Record<K, number> & { json: boolean } {
  const names = Object.keys(defaults) as K[];
  const { values } = parseArgs({
    options: {
      json: { type: "boolean", default: false },
      ...Object.fromEntries(names.map((name) => [name, { type: "string" as const }])),
    },
  });
  const given = values as Record<string, string | boolean | undefined>;
  const numbers = Object.fromEntries(
    names.map((name) => {
      const value = given[name] === undefined ? defaults[name] : Number(given[name]);
      if (!Number.isSafeInteger(value) || value <= 0)
        throw new Error(`--${name}: not a positive whole number`);
      return [name, value];
    }),
  ) as Record<K, number>;
  return { ...numbers, json: given.json === true };
}

/** The one thing a bench writes to stdout. */
export function print(report: Report, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(report)}\n`);
    return;
  }
  console.log(report.title);
  console.table(report.rows);
  for (const note of report.notes) console.log(`  ${note}`);
}

/** Progress goes to stderr, and only where somebody watches. */
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
