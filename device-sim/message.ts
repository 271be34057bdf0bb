/**
 * How a reading goes over the wire: topic and payload of `docs/protocol.md`.
 */

/** The values of one reading in {@link METRICS} order; undefined where the metric is missing. */
export type Values = readonly (number | undefined)[];

export interface SentReading {
  seq: number;
  /** Event time, epoch milliseconds. */
  ts: number;
  values: Values;
}

export function telemetryTopic(deviceId: string): string {
  return `devices/${deviceId}/telemetry`;
}

/** Name of device `index`, padded so that a fleet sorts by number. */
export function deviceName(prefix: string, index: number): string {
  return `${prefix}${String(index).padStart(5, "0")}`;
}

/** Metric name to value, without the missing ones. */
export function namedValues(metrics: readonly string[], values: Values): Record<string, number> {
  const named: Record<string, number> = {};
  for (let i = 0; i < metrics.length; i++) {
    const value = values[i];
    if (value !== undefined) named[metrics[i]!] = value;
  }
  return named;
}

/** The payload. A re-send must be these very bytes, so the result is kept, not made again. */
export function encodeReading(reading: SentReading, boot: string, metrics: readonly string[]): Buffer {
  const { ts, seq } = reading;
  return Buffer.from(JSON.stringify({ ts, seq, boot, values: namedValues(metrics, reading.values) }));
}
