/**
 * Metrics of the checkpoints on Kafka.
 */
import { Counter, Gauge, Histogram, Registry } from "../../../runtime/metrics.js";

export interface CheckpointMetrics {
  restoreSeconds: Histogram;
  restoredRecords: Counter;
  reconnects: Counter<"client">;
}

/** Registers the metrics; without a registry they count into one of their own. */
export function checkpointMetrics(
  registry: Registry = new Registry(),
  read: { entries(): number; bytes(): number },
): CheckpointMetrics {
  const registers = [registry];
  new Gauge({
    name: "sluice_checkpoint_state_entries",
    help: "Entries of processor state held in memory",
    registers,
    collect() {
      this.set(read.entries());
    },
  });
  new Gauge({
    name: "sluice_checkpoint_state_bytes",
    help: "Bytes of processor state held in memory, keys not counted",
    registers,
    collect() {
      this.set(read.bytes());
    },
  });
  return {
    restoreSeconds: new Histogram({
      name: "sluice_checkpoint_restore_seconds",
      help: "Time to take a partition over and read its changelog",
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300],
      registers,
    }),
    restoredRecords: new Counter({
      name: "sluice_checkpoint_restored_records_total",
      help: "Changelog records read by restores",
      registers,
    }),
    reconnects: new Counter({
      name: "sluice_checkpoint_reconnects_total",
      help: "Producers and readers of changelogs that were discarded after an error and made anew",
      labelNames: ["client"],
      registers,
    }),
  };
}
