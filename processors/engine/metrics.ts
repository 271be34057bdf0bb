/**
 * The processor's metrics. Task totals are read at scrape time, so that metrics, stats and checkpoints agree.
 */
import { Counter, Gauge, Histogram, type Registry } from "../../runtime/metrics.js";
import type { TaskCounters } from "./counters.js";

export interface ProcessorMetrics {
  commitSeconds: Histogram;
  commitRetries: Counter;
  rowsCommitted: Counter<"kind">;
  eventToStoreSeconds: Histogram;
  ingestToStoreSeconds: Histogram;
  recordsLost: Counter;
  restoreSeconds: Histogram;
}

const TO_STORE_BUCKETS_SECONDS = [0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 900, 3_600, 86_400];

const RECORD_ENDS = ["counted", "duplicates", "late", "poison"] as const;

export function processorMetrics(
  registry: Registry,
  read: { counters(): TaskCounters; lag(): Promise<number>; devices(): number; partitions(): number },
): ProcessorMetrics {
  const registers = [registry];
  new Gauge({
    name: "sluice_processor_records",
    help: "Input records by what became of them, since the first record of the log (survives restarts)",
    labelNames: ["result"],
    registers,
    collect() {
      const counters = read.counters();
      for (const result of RECORD_ENDS) this.set({ result }, counters[result]);
    },
  });
  new Gauge({
    name: "sluice_processor_alert_transitions",
    help: "Alert transitions, since the first record of the log (survives restarts)",
    labelNames: ["state"],
    registers,
    collect() {
      const { alertsFired, alertsResolved } = read.counters();
      this.set({ state: "firing" }, alertsFired);
      this.set({ state: "resolved" }, alertsResolved);
    },
  });
  new Gauge({
    name: "sluice_processor_lag_records",
    help: "Records in assigned partitions that were not processed yet",
    registers,
    async collect() {
      this.set(await read.lag());
    },
  });
  new Gauge({
    name: "sluice_processor_devices_in_memory",
    help: "Devices whose state is held in memory",
    registers,
    collect() {
      this.set(read.devices());
    },
  });
  new Gauge({
    name: "sluice_processor_partitions",
    help: "Input partitions assigned to this process",
    registers,
    collect() {
      this.set(read.partitions());
    },
  });
  return {
    commitSeconds: new Histogram({
      name: "sluice_processor_commit_seconds",
      help: "Time to make outputs, state and offset durable",
      buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers,
    }),
    commitRetries: new Counter({
      name: "sluice_processor_commit_retries_total",
      help: "Commits that failed and were tried again (store or log unavailable)",
      registers,
    }),
    rowsCommitted: new Counter({
      name: "sluice_processor_rows_committed_total",
      help: "Rows written to the store",
      labelNames: ["kind"],
      registers,
    }),
    eventToStoreSeconds: new Histogram({
      name: "sluice_processor_event_to_store_seconds",
      help: "From the event time of a device's latest reading (its own clock) to the commit, once per device and commit",
      buckets: TO_STORE_BUCKETS_SECONDS,
      registers,
    }),
    ingestToStoreSeconds: new Histogram({
      name: "sluice_processor_ingest_to_store_seconds",
      help: "From the arrival of a device's latest reading to the commit, once per device and commit",
      buckets: TO_STORE_BUCKETS_SECONDS,
      registers,
    }),
    recordsLost: new Counter({
      name: "sluice_processor_records_expired_total",
      help: "Records that retention removed before they were processed",
      registers,
    }),
    restoreSeconds: new Histogram({
      name: "sluice_processor_restore_seconds",
      help: "Time to take up the state of a partition",
      buckets: [0.01, 0.1, 0.5, 1, 5, 30, 120],
      registers,
    }),
  };
}
