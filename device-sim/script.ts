/**
 * What one device sends, in sending order: its readings with the faults asked for, decided ahead by the seed.
 *
 * Pure: the device runs the script, the script knows nothing of connections. The same options give the same messages.
 */
import type { ReasonCode } from "../contracts/errors.js";
import { type Anomaly, withAnomalies } from "./anomalies.js";
import { MALFORMED_KINDS, malformed } from "./malformed.js";
import { deviceName, encodeReading, type SentReading, telemetryTopic } from "./message.js";
import { Random } from "./random.js";
import type { Signals } from "./signals.js";

/** What was done to a message on purpose; a set of bits in the ledger. */
export const LABELS = { duplicate: 1, reordered: 2, late: 4, malformed: 8, cut: 16 } as const;

/** Fractions (0..1) of readings that each fault befalls. */
export interface Faults {
  /** Sent again after its ack. */
  duplicates: number;
  /** Overtaken by up to {@link REORDER_DEPTH} later readings. */
  reordered: number;
  /** Malformed messages sent in between, per reading. */
  malformed: number;
  /** Held back with its neighbours and uploaded behind newer readings. */
  late: number;
  /** The connection is cut without a goodbye right after it was written. */
  cuts: number;
}

export const REORDER_DEPTH = 8;
const LATE_BLOCK = 20;
/** How many readings overtake a late block. */
const LATE_DEPTH = 60;
/** Marks of malformed messages: outside the sequence numbers of readings. */
const FIRST_MARK = 1_000_000_000;

export interface ScriptOptions {
  seed: number;
  device: number;
  prefix: string;
  boot: string;
  /** Number of readings. */
  count: number;
  /** What the device measures, and the names of its metrics in ledger order. */
  signals: Signals;
  metrics: readonly string[];
  startTs: number;
  /** Event time of reading n: so long after `startTs`, rounded down. Rises by at least 1 from reading to reading. */
  offsetMs: (n: number) => number;
  /** Each reading is due when its event time comes; otherwise at once. */
  paced: boolean;
  faults: Faults;
  /** Of this device. */
  anomalies: readonly Anomaly[];
}

export interface PlannedMessage {
  topic: string;
  payload: Buffer;
  /** When to send it, milliseconds after the start of the run. */
  dueMs: number;
  /** Bits of {@link LABELS}. */
  labels: number;
  /** The end it must come to. */
  truth: { end: "reading"; reading: SentReading } | { end: "invalid"; reason: ReasonCode };
}

interface Held {
  message: PlannedMessage;
  /** Goes out after the reading of this number. */
  until: number;
}

/** The messages of one device in sending order. */
export function* deviceScript(options: ScriptOptions): Generator<PlannedMessage, void, undefined> {
  const random = Random.seeded(options.seed, options.device);
  const makeReading = readingMaker(options);
  const makeMalformed = malformedMaker(options, Random.seeded(options.seed, 0x4bad_0000 + options.device));
  let held: Held[] = [];
  let lateUntil = -1;
  for (let n = 0; n < options.count; n++) {
    const message = makeReading(n);
    const { faults } = options;
    // Every draw is made for every reading: switching one fault on leaves the others where they were.
    const draws = { late: random.float(), reorder: random.float(), depth: random.int(REORDER_DEPTH) };
    const labels =
      (random.chance(faults.duplicates) ? LABELS.duplicate : 0) |
      (random.chance(faults.cuts) ? LABELS.cut : 0);
    if (message) message.labels |= labels;
    if (n > lateUntil && draws.late < faults.late / LATE_BLOCK) lateUntil = n + LATE_BLOCK - 1;

    const due = dueMs(options, eventTime(options, n));
    if (!message) {
      // Nothing to hold back either.
    } else if (n <= lateUntil) {
      message.labels |= LABELS.late;
      held.push({ message, until: lateUntil + LATE_DEPTH });
    } else if (draws.reorder < faults.reordered) {
      message.labels |= LABELS.reordered;
      held.push({ message, until: n + 1 + draws.depth });
    } else {
      yield message;
    }
    if (random.chance(faults.malformed)) yield makeMalformed(due);
    if (held.length > 0) {
      for (const { message: released } of held.filter((h) => h.until <= n)) yield { ...released, dueMs: due };
      held = held.filter((h) => h.until > n);
    }
  }
  // What nothing overtakes any more goes out with the last reading: held on purpose is not late by fault of the gateway.
  const lastDueMs = dueMs(options, eventTime(options, options.count - 1));
  for (const { message } of held) yield { ...message, dueMs: lastDueMs };
}

/** Makes reading n; undefined where everything it would say is missing, so that the device says nothing. */
function readingMaker(options: ScriptOptions): (n: number) => PlannedMessage | undefined {
  const { metrics } = options;
  const values = withAnomalies(options.signals, options.anomalies);
  const topic = telemetryTopic(deviceName(options.prefix, options.device));
  return (seq) => {
    const ts = eventTime(options, seq);
    const reading = { seq, ts, values: metrics.map((metric) => values(metric, ts)) };
    if (reading.values.every((value) => value === undefined)) return undefined;
    const payload = encodeReading(reading, options.boot, metrics);
    return { topic, payload, dueMs: dueMs(options, ts), labels: 0, truth: { end: "reading", reading } };
  };
}

function malformedMaker(options: ScriptOptions, random: Random): (dueMs: number) => PlannedMessage {
  const deviceId = deviceName(options.prefix, options.device);
  let mark = FIRST_MARK;
  return (due) => {
    const kind = random.int(MALFORMED_KINDS);
    const ts = Math.floor(options.startTs + due);
    const { topic, payload, reason } = malformed(kind, { deviceId, boot: options.boot, ts, mark: mark++ });
    return { topic, payload, dueMs: due, labels: LABELS.malformed, truth: { end: "invalid", reason } };
  };
}

/** Event times of a device differ, so that each reading has a place of its own in event-time order. */
function eventTime(options: ScriptOptions, n: number): number {
  return Math.floor(options.startTs + options.offsetMs(n));
}

function dueMs(options: ScriptOptions, ts: number): number {
  return options.paced ? ts - options.startTs : 0;
}
