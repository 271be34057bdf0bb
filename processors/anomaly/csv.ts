/**
 * The pure part of `sluice detect`: CSV lines with a time and a value in, the same rows with an anomaly score out.
 *
 * Input: a header naming at least `timestamp` and `value`, in any order; other columns are left out of the output.
 * Output: `timestamp,value,anomaly_score`, one row per input row in the same order, timestamp and value as they were
 * written. Fields may be quoted (RFC 4180), but not span lines. Blank lines are skipped.
 */
import { detectors } from "./registry.js";

const TIME_COLUMN = "timestamp";
const VALUE_COLUMN = "value";
const OUTPUT_HEADER = `${TIME_COLUMN},${VALUE_COLUMN},anomaly_score`;

/** Epoch numbers beyond this are milliseconds (as seconds they would lie after the year 5138). */
const MAX_EPOCH_SECONDS = 1e11;
const DATE_TIME = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(:\d{2})?(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$/i;

/** A row that cannot be read. `line` counts from 1, the header included; `column` is the column's name. */
export class CsvError extends Error {
  override readonly name = "CsvError";

  constructor(
    readonly line: number,
    readonly column: string,
    detail: string,
  ) {
    super(`line ${line}, column ${column}: ${detail}`);
  }
}

/**
 * Scores every row with one detector.
 *
 * A timestamp earlier than one before it is taken as that one: detectors know no way back in time.
 *
 * @param lines without their line ends; a trailing CR and a leading byte order mark are tolerated.
 * @param params raw parameters of the detector; `{}` for the defaults.
 * @throws RangeError for an unknown detector, ZodError for parameters that do not fit, CsvError for a bad row.
 */
export async function* detectCsv(
  lines: AsyncIterable<string>,
  detectorName: string,
  params: unknown,
): AsyncIterable<string> {
  const kind = Object.hasOwn(detectors, detectorName) ? detectors[detectorName] : undefined;
  if (!kind)
    throw new RangeError(`unknown detector ${detectorName}; there are: ${Object.keys(detectors).join(", ")}`);
  const detector = kind.create(params);
  let columns: Columns | undefined;
  let latest = Number.NEGATIVE_INFINITY;
  let number = 0;
  for await (const raw of lines) {
    number++;
    const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
    if (columns === undefined) {
      columns = columnsOf(line.replace(/^\uFEFF/, ""), number);
      yield OUTPUT_HEADER;
      continue;
    }
    if (line.trim() === "") continue;
    const row = rowOf(line, number, columns);
    latest = Math.max(latest, row.ts);
    const { score } = detector.step(latest, row.value);
    yield `${row.timeText},${row.valueText},${score}`;
  }
  if (columns === undefined) throw new CsvError(1, TIME_COLUMN, "the input is empty; a header is needed");
}

interface Columns {
  time: number;
  value: number;
}

interface Row {
  ts: number;
  value: number;
  /** The fields as written, quotes included. */
  timeText: string;
  valueText: string;
}

function columnsOf(line: string, number: number): Columns {
  const names = fieldsOf(line).map(unquoted);
  const indexOf = (name: string): number => {
    const index = names.indexOf(name);
    if (index < 0) throw new CsvError(number, name, `missing from the header "${line}"`);
    return index;
  };
  return { time: indexOf(TIME_COLUMN), value: indexOf(VALUE_COLUMN) };
}

function rowOf(line: string, number: number, columns: Columns): Row {
  const fields = fieldsOf(line);
  const timeText = fields[columns.time];
  const valueText = fields[columns.value];
  if (timeText === undefined) throw new CsvError(number, TIME_COLUMN, "missing");
  if (valueText === undefined) throw new CsvError(number, VALUE_COLUMN, "missing");
  const ts = epochMs(unquoted(timeText));
  if (ts === undefined) throw new CsvError(number, TIME_COLUMN, `not a time: ${timeText}`);
  const text = unquoted(valueText);
  const value = text === "" ? Number.NaN : Number(text);
  if (!Number.isFinite(value))
    throw new CsvError(number, VALUE_COLUMN, `not a finite number: ${valueText || "(empty)"}`);
  return { ts, value, timeText, valueText };
}

/** Splits at commas outside quotes. */
function fieldsOf(line: string): string[] {
  if (!line.includes('"')) return line.split(",");
  const fields: string[] = [];
  let start = 0;
  let quoted = false;
  for (let i = 0; i <= line.length; i++) {
    if (line[i] === '"') quoted = !quoted;
    if (i < line.length && (quoted || line[i] !== ",")) continue;
    fields.push(line.slice(start, i));
    start = i + 1;
  }
  return fields;
}

function unquoted(field: string): string {
  const text = field.trim();
  return text.length > 1 && text.startsWith('"') && text.endsWith('"')
    ? text.slice(1, -1).replaceAll('""', '"').trim()
    : text;
}

/**
 * Epoch milliseconds of a date and time (`YYYY-MM-DD HH:MM:SS[.ffffff]` or ISO 8601, UTC where no zone is given) or
 * of an epoch number in seconds or milliseconds; undefined for anything else.
 */
export function epochMs(text: string): number | undefined {
  const match = DATE_TIME.exec(text);
  if (match) {
    const [, date, minutes = "00:00", seconds = ":00", fraction = "", zone = "Z"] = match;
    const ms = Date.parse(
      `${date}T${minutes}${seconds}${(fraction || ".000").slice(0, 4).padEnd(4, "0")}${zone.toUpperCase()}`,
    );
    return Number.isNaN(ms) ? undefined : ms;
  }
  const epoch = text === "" ? Number.NaN : Number(text);
  if (!Number.isFinite(epoch)) return undefined;
  return Math.abs(epoch) > MAX_EPOCH_SECONDS ? epoch : epoch * 1000;
}
