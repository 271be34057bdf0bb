/**
 * Topic names and how each is partitioned, keyed and kept.
 */
export const TOPICS = {
  readings: "telemetry.readings",
  invalid: "telemetry.invalid",
  late: "telemetry.late",
  rollups: "telemetry.rollups",
  alerts: "telemetry.alerts",
} as const;

/** How a topic is created. Retention of `undefined` keeps records for ever. */
export interface TopicSpec {
  name: string;
  partitions: number;
  retentionMs?: number;
  /** Per partition, as in Kafka's `retention.bytes`. */
  retentionBytes?: number;
}
