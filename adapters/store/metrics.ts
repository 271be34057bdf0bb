/**
 * What every store adapter counts, under one set of names.
 */
import type { RejectedRow, StoreBatch } from "../../contracts/ports/store.js";
import { Counter, Histogram, Registry } from "../../runtime/metrics.js";

export class StoreMetrics {
  readonly #rows: Counter<"kind">;
  readonly #seconds: Histogram;
  readonly #rejected: Counter;
  readonly #errors: Counter;

  constructor(registry: Registry = new Registry()) {
    const registers = [registry];
    this.#rows = once(registry, "sluice_store_rows_written_total", (name) => {
      const help = "Rows upserted into the store, by kind";
      return new Counter({ name, help, labelNames: ["kind"], registers });
    });
    this.#seconds = once(registry, "sluice_store_write_seconds", (name) => {
      const help = "Time to make one batch of rows durable in the store";
      const buckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
      return new Histogram({ name, help, buckets, registers });
    });
    this.#rejected = once(registry, "sluice_store_rejected_rows_total", (name) => {
      return new Counter({ name, help: "Rows that the store would not take", registers });
    });
    this.#errors = once(registry, "sluice_store_errors_total", (name) => {
      return new Counter({ name, help: "Store calls that failed", registers });
    });
  }

  /** Runs one write of `batch`, times it, and counts what it stored, rejected, or that it failed. */
  async write<T extends RejectedRow[] | boolean>(batch: StoreBatch, work: () => Promise<T>): Promise<T> {
    const stop = this.#seconds.startTimer();
    const result = await this.guard(work);
    stop();
    if (result === false) return result;
    const rejected = Array.isArray(result) ? result : [];
    this.#rejected.inc(rejected.length);
    for (const [kind, rows] of [
      ["rollup", batch.rollups],
      ["alert", batch.alerts],
      ["device", batch.devices],
    ] as const) {
      this.#rows.inc({ kind }, rows.length - rejected.filter((row) => row.kind === kind).length);
    }
    return result;
  }

  /** Counts an error of `work` and lets it pass on. */
  async guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#errors.inc();
      throw error;
    }
  }
}

/** Two stores of one process share the metrics of one registry. */
function once<T>(registry: Registry, name: string, create: (name: string) => T): T {
  return (registry.getSingleMetric(name) as T | undefined) ?? create(name);
}
