/**
 * A run and what became of it, in memory: ledger, log, rollups and counters, which a test then makes disagree.
 */
import type { DeadLetterRecord } from "../../contracts/dead-letter.js";
import type { LogRecord } from "../../contracts/ports/log.js";
import type { RollupQuery } from "../../contracts/ports/store.js";
import { type ReadingRecord, readingId } from "../../contracts/reading.js";
import type { Rollup } from "../../contracts/rollup.js";
import { TOPICS } from "../../contracts/topics.js";
import { windowStart } from "../../contracts/window.js";
import { systemClock } from "../../runtime/clock.js";
import type { Stats } from "../baseline.js";
import { Ledger } from "../ledger.js";
import { namedValues } from "../message.js";
import { deviceScript } from "../script.js";
import { createSignals, METRICS } from "../signals.js";
import { type VerifyReport, verifyLedger } from "../verify.js";
import type { AlertSource } from "../verify-alerts.js";
import type { ReadLog } from "../verify-log.js";

export const START = 1_732_350_000_000;
export const DEVICES = 3;

/** A log of two partitions that holds what a test puts there. */
class MemoryLog implements ReadLog {
  readonly topics = new Map<string, LogRecord[][]>();

  add(topic: string, partition: number, value: unknown): void {
    const partitions = this.topics.get(topic) ?? [[], []];
    this.topics.set(topic, partitions);
    const records = partitions[partition]!;
    const bytes = Buffer.from(JSON.stringify(value));
    records.push({ partition, offset: records.length, timestamp: 0, key: null, value: bytes, headers: {} });
  }

  async ranges(topic: string) {
    const partitions = this.topics.get(topic) ?? [[], []];
    return partitions.map((records, partition) => ({ partition, earliest: 0, next: records.length }));
  }

  async *read(topic: string, partition: number, from: number, { to }: { to?: number } = {}) {
    yield this.topics.get(topic)![partition]!.slice(from, to);
  }
}

/** A run that went well: everything sent, acked, logged and rolled up once. Tests then break one thing. */
export class World {
  readonly ledger = new Ledger({
    v: 1,
    kind: "sluice.ledger",
    seed: 1,
    devices: DEVICES,
    prefix: "t-",
    boot: "b1",
    metrics: [...METRICS],
    qos: 1,
    startedAt: START,
    anomalies: [],
  });
  readonly log = new MemoryLog();
  readonly rollups = new Map<string, Rollup>();
  stats: Stats = { received: 0, readings: 0, invalid: 0 };

  /** `keep`: whether the gateway writes the message of this ledger number to the log. */
  constructor(keep: (n: number) => boolean = () => true, acked: (n: number) => boolean = () => true) {
    const faults = { duplicates: 0, reordered: 0.1, malformed: 0.2, late: 0.2, cuts: 0 };
    for (let device = 0; device < DEVICES; device++) {
      const options = { seed: 1, device, prefix: "t-", boot: "b1", count: 100, startTs: START };
      for (const message of deviceScript({
        ...{ ...options, offsetMs: (n) => n * 1_000, paced: true, faults, anomalies: [] },
        ...{ signals: createSignals(1, device), metrics: METRICS },
      })) {
        const { dueMs, labels, topic, payload, truth } = message;
        const entry =
          truth.end === "reading"
            ? { end: "reading" as const, ...truth.reading }
            : { end: "invalid" as const, reason: truth.reason, topic, payload };
        const n = this.ledger.add({ device, labels, dueMs, sentMs: dueMs + 1, truth: entry });
        if (acked(n)) this.ledger.addAck(n, dueMs + 3);
        this.stats.received++;
        if (!keep(n)) continue;
        if (truth.end === "reading") this.addReading(n);
        else this.addDeadLetter(n);
      }
    }
    this.rollUp();
  }

  record(n: number): ReadingRecord {
    const deviceId = this.ledger.deviceId(this.ledger.device(n));
    const { seq, ts, values } = this.ledger.reading(n);
    const reading = { deviceId, boot: "b1", seq, ts, values: namedValues(METRICS, values) };
    return { v: 1, id: readingId(reading, ""), ingestTs: ts, ...reading };
  }

  addReading(n: number, changes: Partial<ReadingRecord> = {}): void {
    this.log.add(TOPICS.readings, this.ledger.device(n) % 2, { ...this.record(n), ...changes });
    this.stats.readings++;
  }

  addDeadLetter(n: number, changes: Partial<DeadLetterRecord> = {}): void {
    const { topic, payload, reason } = this.ledger.invalid(n)!;
    const letter = {
      v: 1,
      id: `x-${n}`,
      reason,
      detail: "d",
      topic,
      ingestTs: 0,
      payloadBytes: payload.length,
    };
    this.log.add(TOPICS.invalid, 0, { ...letter, payload: payload.toString("base64"), ...changes });
    this.stats.invalid++;
  }

  /** Rollups as the processors would write them: each identity once, in event-time order. */
  rollUp(): void {
    const records = new Map<string, ReadingRecord>();
    for (const partition of this.log.topics.get(TOPICS.readings) ?? []) {
      for (const { value } of partition) {
        const record = JSON.parse(Buffer.from(value).toString()) as ReadingRecord;
        records.set(record.id, record);
      }
    }
    for (const { deviceId, ts, values } of [...records.values()].sort((a, b) => a.ts - b.ts)) {
      for (const [metric, value] of Object.entries(values)) this.#fold(deviceId, metric, ts, value);
    }
  }

  #fold(device: string, metric: string, ts: number, value: number): void {
    const start = windowStart(ts, 10_000);
    const key = `${device}/${metric}/${start}`;
    const old = this.rollups.get(key);
    const [min, max] = [Math.min(old?.min ?? value, value), Math.max(old?.max ?? value, value)];
    const count = (old?.count ?? 0) + 1;
    const sum = (old?.sum ?? 0) + value;
    const rest = {
      mean: sum / count,
      first: old?.first ?? value,
      last: value,
      p50: 0,
      p95: 0,
      p99: 0,
      revision: count,
    };
    this.rollups.set(key, { device, metric, resolution: "10s", start, count, sum, min, max, ...rest });
  }

  readings(): number[] {
    return this.#entries().filter((n) => !this.ledger.invalid(n));
  }

  malformed(): number[] {
    return this.#entries().filter((n) => this.ledger.invalid(n));
  }

  #entries(): number[] {
    return Array.from({ length: this.ledger.size }, (_, n) => n);
  }

  /** @param settleMs how long rollups may stay as they are before they are judged: long where they will change */
  verify(
    query?: (query: RollupQuery) => Promise<Rollup[]>,
    settleMs = 300,
    alerts?: AlertSource,
  ): Promise<VerifyReport> {
    const stored = async ({ device, metric, from, to }: RollupQuery) =>
      [...this.rollups.values()].filter(
        (r) => r.device === device && r.metric === metric && r.start >= from && r.start < to,
      );
    return verifyLedger({
      ledger: this.ledger,
      log: this.log,
      store: { rollups: query ?? stored },
      stats: async () => this.stats,
      baseline: { offsets: {}, stats: { received: 0, readings: 0, invalid: 0 } },
      clock: systemClock,
      settleMs,
      ...(alerts && { alerts }),
    });
  }
}
