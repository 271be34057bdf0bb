/**
 * Readings from CSV, as messages to play: one row, one reading.
 *
 * The header names `timestamp` (or `ts`), maybe `device`, and metrics; an empty cell is a missing value. Times are epoch
 * seconds or milliseconds, or ISO 8601 (UTC unless it says otherwise). Fields may be quoted (RFC 4180), but not span
 * lines.
 */
import { SluiceError } from "../contracts/errors.js";
import { telemetryTopic } from "./message.js";
import type { Recorded } from "./recording.js";

/** Epoch numbers beyond this are milliseconds: as seconds they would lie after the year 5138. */
const MAX_EPOCH_SECONDS = 1e11;

interface Columns {
  time: number;
  device: number;
  metrics: [index: number, name: string][];
}

/**
 * @param device whose readings they are, when there is no column `device`
 * @throws SluiceError CONFIG_INVALID with the line of a row that cannot be read
 */
export async function* readCsv(lines: AsyncIterable<string>, device?: string): AsyncGenerator<Recorded> {
  let columns: Columns | undefined;
  let firstTs: number | undefined;
  let number = 0;
  for await (const line of lines) {
    number++;
    if (line.trim() === "") continue;
    const cells = fields(line);
    if (!columns) {
      columns = columnsOf(cells, device, number);
      continue;
    }
    const ts = timeOf(cells[columns.time] ?? "", number);
    firstTs ??= ts;
    const values: Record<string, number> = {};
    for (const [index, name] of columns.metrics) {
      const cell = (cells[index] ?? "").trim();
      if (cell === "") continue;
      values[name] = Number(cell);
      if (!Number.isFinite(values[name])) throw bad(number, `${name} is not a number: ${cell}`);
    }
    const deviceId = device ?? cells[columns.device]!;
    const payload = Buffer.from(JSON.stringify({ ts, values }));
    yield { atMs: ts - firstTs, topic: telemetryTopic(deviceId), payload };
  }
}

function columnsOf(header: string[], device: string | undefined, line: number): Columns {
  const names = header.map((name, i) => (i === 0 ? name.replace(/^\uFEFF/, "") : name).trim());
  const time = names.findIndex((name) => name === "timestamp" || name === "ts");
  const column = names.indexOf("device");
  if (time < 0) throw bad(line, "there is no column timestamp or ts");
  if (column < 0 && device === undefined) throw bad(line, "there is no column device: say --device");
  const metrics = [...names.entries()].filter(([i]) => i !== time && i !== column);
  if (metrics.length === 0) throw bad(line, "there is no column with values");
  return { time, device: column, metrics };
}

function timeOf(cell: string, line: number): number {
  const text = cell.trim();
  const number = Number(text);
  if (text !== "" && Number.isFinite(number))
    return Math.round(number > MAX_EPOCH_SECONDS ? number : number * 1_000);
  const zoned = /(Z|[+-]\d{2}:?\d{2})$/i.test(text) || /^\d{4}-\d{2}-\d{2}$/.test(text) ? text : `${text}Z`;
  const ms = Date.parse(zoned.replace(" ", "T"));
  if (Number.isNaN(ms)) throw bad(line, `not a time: ${text}`);
  return ms;
}

function fields(line: string): string[] {
  const found = line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g);
  return [...found].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? "");
}

function bad(line: number, why: string): SluiceError {
  return new SluiceError("CONFIG_INVALID", `CSV, line ${line}: ${why}`);
}
