/**
 * Metrics of the Kafka adapter. Those of appending have the names that every log adapter uses.
 */
import { Counter, Gauge, Histogram, Registry } from "../../../runtime/metrics.js";

export interface KafkaMetrics {
  appendedRecords: Counter<"topic">;
  appendSeconds: Histogram;
  pendingBytes: Gauge;
  reconnects: Counter<"client">;
  rebalances: Counter<"group">;
}

/** Registers the metrics; without a registry they count into one of their own. */
export function kafkaMetrics(registry: Registry = new Registry()): KafkaMetrics {
  const registers = [registry];
  return {
    appendedRecords: new Counter({
      name: "sluice_log_appended_records_total",
      help: "Records appended durably to the log",
      labelNames: ["topic"],
      registers,
    }),
    appendSeconds: new Histogram({
      name: "sluice_log_append_seconds",
      help: "Time from an append to its durability",
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      registers,
    }),
    pendingBytes: new Gauge({
      name: "sluice_log_pending_bytes",
      help: "Bytes of records that wait to be committed to the log",
      registers,
    }),
    reconnects: new Counter({
      name: "sluice_kafka_reconnects_total",
      help: "Clients that were discarded after an error and connected anew",
      labelNames: ["client"],
      registers,
    }),
    rebalances: new Counter({
      name: "sluice_kafka_rebalances_total",
      help: "Times this process joined or rejoined a consumer group",
      labelNames: ["group"],
      registers,
    }),
  };
}
