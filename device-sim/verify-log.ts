/**
 * Holds the log against the ledger: where did each message end, and what is there that nobody sent?
 */
import type { DeadLetterRecord } from "../contracts/dead-letter.js";
import type { ReasonCode } from "../contracts/errors.js";
import { hasCode } from "../contracts/errors.js";
import type { Log, LogRecord } from "../contracts/ports/log.js";
import { type ReadingRecord, readingId } from "../contracts/reading.js";
import { TOPICS } from "../contracts/topics.js";
import type { Baseline } from "./baseline.js";
import type { Ledger } from "./ledger.js";
import { telemetryTopic } from "./message.js";

export type ReadLog = Pick<Log, "ranges" | "read">;

/** A record that should not be there, or not be so. */
export interface Finding {
  topic: string;
  partition: number;
  offset: number;
  device: string;
  /** What is wrong with it. */
  what: string;
}

export interface ReasonTally {
  /** Malformed messages with this reason that were acked, and all that were sent. */
  acked: number;
  sent: number;
  /** Those of them that are dead letters with this reason. */
  seen: number;
}

/** What the log says about the messages of the ledger. */
export interface LogOutcome {
  /** Per entry: how often it is in `telemetry.readings`, or as a dead letter when malformed. */
  copies: Uint32Array;
  /** Records of each topic since the baseline, of any device. */
  newReadings: number;
  newInvalid: number;
  byReason: Partial<Record<ReasonCode, ReasonTally>>;
  /** Dead letters of malformed messages under another reason than theirs. */
  wrongReason: Finding[];
  /** Valid readings that became dead letters. */
  wrongEnd: Finding[];
  /** Readings that are not what the device sent. */
  altered: Finding[];
  /** Records of our devices that are not in the ledger. */
  unknown: Finding[];
  /** Entries that ended as the wrong thing: not lost on top. */
  misplaced: Set<number>;
}

/** Reads `telemetry.readings` and `telemetry.invalid` from the baseline on. */
export async function judgeLog(log: ReadLog, ledger: Ledger, baseline: Baseline): Promise<LogOutcome> {
  const judge = new LogJudge(ledger);
  for await (const record of newRecords(log, TOPICS.readings, baseline)) judge.reading(record);
  for await (const record of newRecords(log, TOPICS.invalid, baseline)) judge.deadLetter(record);
  return judge.outcome;
}

/** Entry number to how often it is in `telemetry.late`: too late for the rollups. */
export async function lateCopies(
  log: ReadLog,
  ledger: Ledger,
  baseline: Baseline,
): Promise<Map<number, number>> {
  const devices = deviceIndex(ledger);
  const copies = new Map<number, number>();
  for await (const record of newRecords(log, TOPICS.late, baseline)) {
    const { deviceId, seq, boot } = parse<ReadingRecord>(record);
    const device = devices.get(deviceId);
    if (device === undefined || seq === undefined || boot !== ledger.header.boot) continue;
    const n = ledger.find(device, seq);
    if (n !== undefined) copies.set(n, (copies.get(n) ?? 0) + 1);
  }
  return copies;
}

/** Every record appended since the baseline, up to the end as it is now. A topic that does not exist has none. */
async function* newRecords(log: ReadLog, topic: string, baseline: Baseline): AsyncGenerator<LogRecord> {
  const from = baseline.offsets[topic] ?? {};
  for (const { partition, earliest, next } of await rangesOf(log, topic)) {
    const start = from[partition] ?? earliest;
    if (start >= next) continue;
    for await (const batch of log.read(topic, partition, start, { to: next })) yield* batch;
  }
}

async function rangesOf(log: ReadLog, topic: string) {
  try {
    return await log.ranges(topic);
  } catch (error) {
    if (hasCode(error, "LOG_UNKNOWN_TOPIC")) return [];
    throw error;
  }
}

const decoder = new TextDecoder();

function parse<T>(record: LogRecord): T {
  return JSON.parse(decoder.decode(record.value)) as T;
}

function deviceIndex(ledger: Ledger): Map<string, number> {
  return new Map(
    Array.from({ length: ledger.header.devices }, (_, index) => [ledger.deviceId(index), index]),
  );
}

class LogJudge {
  readonly outcome: LogOutcome;
  readonly #ledger: Ledger;
  readonly #devices: Map<string, number>;
  /** Malformed messages by topic and bytes: equal ones cannot be told apart. */
  readonly #malformed = new Map<string, number[]>();
  /** Topics of the fleet, the malformed ones included. */
  readonly #topics: Set<string>;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
    this.#devices = deviceIndex(ledger);
    this.#topics = new Set([...this.#devices.keys()].map(telemetryTopic));
    this.outcome = {
      copies: new Uint32Array(ledger.size),
      newReadings: 0,
      newInvalid: 0,
      byReason: {},
      wrongReason: [],
      wrongEnd: [],
      altered: [],
      unknown: [],
      misplaced: new Set(),
    };
    for (let n = 0; n < ledger.size; n++) this.#expectInvalid(n);
  }

  reading(record: LogRecord): void {
    this.outcome.newReadings++;
    const reading = parse<ReadingRecord>(record);
    const device = this.#devices.get(reading.deviceId);
    if (device === undefined) return;
    const n = this.#entryOf(reading, device);
    if (n === undefined) {
      this.outcome.unknown.push(
        finding(TOPICS.readings, record, reading.deviceId, `reading ${reading.id} was not sent`),
      );
      return;
    }
    const difference = this.#difference(n, reading);
    if (difference === undefined) {
      this.outcome.copies[n]!++;
    } else {
      this.outcome.misplaced.add(n);
      this.outcome.altered.push(finding(TOPICS.readings, record, reading.deviceId, difference));
    }
  }

  deadLetter(record: LogRecord): void {
    this.outcome.newInvalid++;
    const letter = parse<DeadLetterRecord>(record);
    const expected = this.#malformed.get(malformedKey(letter.topic, letter.payload));
    if (expected) {
      this.#expectedDeadLetter(record, letter, expected);
      return;
    }
    if (!this.#topics.has(letter.topic)) return;
    const device = letter.deviceId ?? letter.topic;
    const n = this.#sentAs(letter);
    if (n === undefined) {
      this.outcome.unknown.push(
        finding(TOPICS.invalid, record, device, `dead letter ${letter.id} was not sent`),
      );
    } else {
      this.outcome.misplaced.add(n);
      const what = `valid reading rejected: ${letter.reason} (${letter.detail})`;
      this.outcome.wrongEnd.push(finding(TOPICS.invalid, record, device, what));
    }
  }

  #expectInvalid(n: number): void {
    const truth = this.#ledger.invalid(n);
    if (!truth) return;
    this.outcome.byReason[truth.reason] ??= { acked: 0, sent: 0, seen: 0 };
    const tally = this.outcome.byReason[truth.reason]!;
    tally.sent++;
    if (this.#ledger.isAcked(n)) tally.acked++;
    this.#topics.add(truth.topic);
    const key = malformedKey(truth.topic, truth.payload.toString("base64"));
    const alike = this.#malformed.get(key);
    if (alike) alike.push(n);
    else this.#malformed.set(key, [n]);
  }

  #expectedDeadLetter(record: LogRecord, letter: DeadLetterRecord, expected: readonly number[]): void {
    const { copies, byReason, wrongReason, misplaced } = this.outcome;
    // Of equal messages the acked ones are served first, one copy each, before any counts as a repeat.
    const n =
      expected.find((e) => copies[e] === 0 && this.#ledger.isAcked(e)) ??
      expected.find((e) => copies[e]! < this.#ledger.sends(e)) ??
      expected[0]!;
    copies[n]!++;
    const { reason } = this.#ledger.invalid(n)!;
    if (letter.reason === reason) {
      if (copies[n] === 1) byReason[reason]!.seen++;
    } else {
      misplaced.add(n);
      const what = `${letter.reason} instead of ${reason} (${letter.detail})`;
      wrongReason.push(finding(TOPICS.invalid, record, letter.deviceId ?? letter.topic, what));
    }
  }

  #entryOf({ boot, seq }: Pick<ReadingRecord, "boot" | "seq">, device: number): number | undefined {
    return boot === this.#ledger.header.boot && seq !== undefined
      ? this.#ledger.find(device, seq)
      : undefined;
  }

  /** The valid message a dead letter was made of. */
  #sentAs(letter: DeadLetterRecord): number | undefined {
    const device = this.#devices.get(letter.deviceId ?? "");
    if (device === undefined) return undefined;
    try {
      return this.#entryOf(JSON.parse(Buffer.from(letter.payload, "base64").toString()), device);
    } catch {
      return undefined; // not JSON, so none of the valid ones
    }
  }

  /** What of a record is not as it was sent. */
  #difference(n: number, record: ReadingRecord): string | undefined {
    const { deviceId, boot, seq, ts, values } = record;
    const sent = this.#ledger.reading(n);
    const { metrics } = this.#ledger.header;
    if (ts !== sent.ts) return `seq ${seq}: ts ${ts} instead of ${sent.ts}`;
    const names = Object.keys(values);
    for (const name of names) {
      const value = sent.values[metrics.indexOf(name)];
      if (values[name] !== value) return `seq ${seq}: ${name} ${values[name]} instead of ${value}`;
    }
    const wanted = sent.values.filter((value) => value !== undefined).length;
    if (names.length !== wanted) return `seq ${seq}: ${names.length} values instead of ${wanted}`;
    // The content is as it was sent, so the identity of the record is that of the ledger.
    const id = readingId({ deviceId, boot: boot!, seq: seq!, ts, values }, "");
    return record.id === id ? undefined : `seq ${seq}: id ${record.id} instead of ${id}`;
  }
}

function malformedKey(topic: string, payloadBase64: string): string {
  return `${topic}\n${payloadBase64}`;
}

function finding(topic: string, { partition, offset }: LogRecord, device: string, what: string): Finding {
  return { topic, partition, offset, device, what };
}
