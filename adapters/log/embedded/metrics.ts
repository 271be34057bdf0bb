/**
 * The metrics of the embedded log. Without a registry nothing is counted.
 */
import type { Clock } from "../../../contracts/ports/clock.js";
import { Counter, Gauge, Histogram, type Registry } from "../../../runtime/metrics.js";

const APPEND_BUCKETS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export class LogMetrics {
  readonly #clock: Clock;
  readonly #records: Counter<"topic"> | undefined;
  readonly #seconds: Histogram | undefined;
  readonly #pendingBytes: Gauge | undefined;
  readonly #deleted: Counter<"topic"> | undefined;

  /** @param bytesByTopic asked at every scrape for the stored size of each topic */
  constructor(clock: Clock, registry: Registry | undefined, bytesByTopic: () => Map<string, number>) {
    this.#clock = clock;
    if (registry === undefined) return;
    const registers = [registry];
    this.#records = new Counter({
      name: "sluice_log_appended_records_total",
      help: "Records appended durably to the log",
      labelNames: ["topic"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "sluice_log_append_seconds",
      help: "Time from an append to its durability",
      buckets: APPEND_BUCKETS_SECONDS,
      registers,
    });
    this.#pendingBytes = new Gauge({
      name: "sluice_log_pending_bytes",
      help: "Bytes of records that wait to be committed to the log",
      registers,
    });
    this.#deleted = new Counter({
      name: "sluice_log_retention_deleted_records_total",
      help: "Records deleted from the log by retention",
      labelNames: ["topic"],
      registers,
    });
    new Gauge({
      name: "sluice_log_bytes",
      help: "Stored size of the log",
      labelNames: ["topic"],
      registers,
      collect() {
        for (const [topic, bytes] of bytesByTopic()) this.set({ topic }, bytes);
      },
    });
  }

  nowMs(): number {
    return this.#clock.monotonicMs();
  }

  appended(topic: string, records: number, startedMs: number): void {
    this.#records?.inc({ topic }, records);
    this.#seconds?.observe((this.nowMs() - startedMs) / 1000);
  }

  pending(changeBytes: number): void {
    this.#pendingBytes?.inc(changeBytes);
  }

  deleted(topic: string, records: number): void {
    this.#deleted?.inc({ topic }, records);
  }
}
