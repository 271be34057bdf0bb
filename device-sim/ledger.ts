/**
 * The ledger: the ground truth of a run. One entry per message that was ever sent, with the end it must come to, how
 * often it was sent and when it was acked. Kept in columns (about 120 bytes a message), so that millions fit.
 *
 * An entry's number is its place in the order of first sends.
 */
import type { ReasonCode } from "../contracts/errors.js";
import { readingId } from "../contracts/reading.js";
import type { Anomaly } from "./anomalies.js";
import type { Baseline } from "./baseline.js";
import { deviceName, namedValues, type SentReading } from "./message.js";

/** What a ledger is about. */
export interface LedgerHeader {
  v: 1;
  kind: "sluice.ledger";
  seed: number;
  devices: number;
  prefix: string;
  /** The `boot` of every reading of the run: no other run sends it. */
  boot: string;
  /** Names of the values of an entry, in order. */
  metrics: string[];
  qos: 0 | 1 | 2;
  /** Wall clock at the start, epoch milliseconds; `at` and `due` of the entries count from here. */
  startedAt: number;
  anomalies: Anomaly[];
  /** Where log and counters stood before the run, when that was known. */
  baseline?: Baseline;
}

export interface InvalidTruth {
  reason: ReasonCode;
  topic: string;
  payload: Buffer;
}

/** One message as it was first sent. Times are milliseconds since the start of the run. */
export interface LedgerEntry {
  device: number;
  labels: number;
  /** When the schedule asked for it. */
  dueMs: number;
  sentMs: number;
  truth: ({ end: "reading" } & SentReading) | ({ end: "invalid" } & InvalidTruth);
}

/** How a run ended; a simulator that was killed leaves none. */
export interface LedgerEnd {
  /** Devices with messages not sent or not acked. */
  unfinished: number;
  /** Stopped from outside, so that unfinished devices are no surprise. */
  aborted: boolean;
}

const FIRST_CAPACITY = 1_024;

export class Ledger {
  readonly header: LedgerHeader;
  end: LedgerEnd | undefined;
  #size = 0;
  #device = new Int32Array(FIRST_CAPACITY);
  #labels = new Uint8Array(FIRST_CAPACITY);
  #sends = new Uint16Array(FIRST_CAPACITY);
  #seq = new Float64Array(FIRST_CAPACITY);
  #ts = new Float64Array(FIRST_CAPACITY);
  #due = new Float64Array(FIRST_CAPACITY);
  #sent = new Float64Array(FIRST_CAPACITY);
  /** NaN until acked. */
  #acked = new Float64Array(FIRST_CAPACITY);
  /** NaN where a metric is missing. */
  #values: Float64Array;
  readonly #invalid = new Map<number, InvalidTruth>();
  /** Per device: sequence number to entry number + 1. */
  readonly #bySeq: number[][] = [];

  constructor(header: LedgerHeader) {
    this.header = header;
    this.#values = new Float64Array(FIRST_CAPACITY * header.metrics.length);
  }

  /** Number of entries. */
  get size(): number {
    return this.#size;
  }

  /** Adds a message at its first send. @returns its number */
  add(entry: LedgerEntry): number {
    const n = this.#size;
    if (n === this.#device.length) this.#grow();
    this.#size++;
    this.#device[n] = entry.device;
    this.#labels[n] = entry.labels;
    this.#sends[n] = 1;
    this.#due[n] = entry.dueMs;
    this.#sent[n] = entry.sentMs;
    this.#acked[n] = Number.NaN;
    const { truth } = entry;
    if (truth.end === "invalid") {
      this.#invalid.set(n, { reason: truth.reason, topic: truth.topic, payload: truth.payload });
    } else {
      this.#seq[n] = truth.seq;
      this.#ts[n] = truth.ts;
      const width = this.header.metrics.length;
      for (let i = 0; i < width; i++) this.#values[n * width + i] = truth.values[i] ?? Number.NaN;
      this.#bySeq[entry.device] ??= [];
      this.#bySeq[entry.device]![truth.seq] = n + 1;
    }
    return n;
  }

  /** Counts another send of the same bytes. */
  addSend(n: number): void {
    if (this.#sends[n]! < 0xffff) this.#sends[n]!++;
  }

  /** Notes an ack; the first one counts. */
  addAck(n: number, atMs: number): void {
    if (Number.isNaN(this.#acked[n]!)) this.#acked[n] = atMs;
  }

  /** @returns the entry number of a reading; undefined when the device never sent it */
  find(device: number, seq: number): number | undefined {
    const found = this.#bySeq[device]?.[seq];
    return found === undefined ? undefined : found - 1;
  }

  deviceId(device: number): string {
    return deviceName(this.header.prefix, device);
  }

  device(n: number): number {
    return this.#device[n]!;
  }

  labels(n: number): number {
    return this.#labels[n]!;
  }

  sends(n: number): number {
    return this.#sends[n]!;
  }

  /** Event time of a reading. */
  ts(n: number): number {
    return this.#ts[n]!;
  }

  dueMs(n: number): number {
    return this.#due[n]!;
  }

  sentMs(n: number): number {
    return this.#sent[n]!;
  }

  /** Undefined when it was never acked. */
  ackedMs(n: number): number | undefined {
    const at = this.#acked[n]!;
    return Number.isNaN(at) ? undefined : at;
  }

  isAcked(n: number): boolean {
    return !Number.isNaN(this.#acked[n]!);
  }

  /** The truth of a malformed message; undefined for a reading. */
  invalid(n: number): InvalidTruth | undefined {
    return this.#invalid.get(n);
  }

  /** Value number `metric` of a reading; NaN when it has none. */
  value(n: number, metric: number): number {
    return this.#values[n * this.header.metrics.length + metric]!;
  }

  reading(n: number): SentReading {
    const values = this.header.metrics.map((_, i) => {
      const value = this.value(n, i);
      return Number.isNaN(value) ? undefined : value;
    });
    return { seq: this.#seq[n]!, ts: this.#ts[n]!, values };
  }

  /** The identity the gateway must give to a reading. */
  readingId(n: number): string {
    const { seq, ts, values } = this.reading(n);
    const { metrics, boot } = this.header;
    const deviceId = this.deviceId(this.device(n));
    return readingId({ deviceId, boot, seq, ts, values: namedValues(metrics, values) }, "");
  }

  #grow(): void {
    const capacity = this.#device.length * 2;
    const widen = <T extends Float64Array | Int32Array | Uint16Array | Uint8Array>(from: T, to: T): T => {
      to.set(from);
      return to;
    };
    this.#device = widen(this.#device, new Int32Array(capacity));
    this.#labels = widen(this.#labels, new Uint8Array(capacity));
    this.#sends = widen(this.#sends, new Uint16Array(capacity));
    this.#seq = widen(this.#seq, new Float64Array(capacity));
    this.#ts = widen(this.#ts, new Float64Array(capacity));
    this.#due = widen(this.#due, new Float64Array(capacity));
    this.#sent = widen(this.#sent, new Float64Array(capacity));
    this.#acked = widen(this.#acked, new Float64Array(capacity));
    this.#values = widen(this.#values, new Float64Array(capacity * this.header.metrics.length));
  }
}
