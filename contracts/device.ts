/**
 * What the store knows of a device: enough to list a fleet. One row per device; absolute values.
 */
export interface DeviceSummary {
  device: string;
  /** Latest event time seen: the device's watermark. Epoch milliseconds. */
  lastTs: number;
  /** Ingest time of the latest reading, epoch milliseconds. */
  lastIngestTs: number;
  /** Distinct readings counted so far. */
  readings: number;
  /** Latest value of each metric, by event time. */
  latest: Record<string, number>;
}
