/**
 * What the load process of the ingest bench is told, and what it answers: one JSON document each way.
 */
export interface LoadOptions {
  port: number;
  /** Its processor time is read at both ends of the measurement. */
  serverPid: number;
  connections: number;
  devicesPerConnection: number;
  /** PUBLISH packets of a connection that wait for their PUBACK. */
  window: number;
  warmupMs: number;
  measureMs: number;
}

export interface LoadResult {
  /** Acks that came within the measurement. */
  acked: number;
  seconds: number;
  serverCpuSeconds: number;
  /** Processor time of this process in the same time: near `seconds`, it is the load that was too slow. */
  ownCpuSeconds: number;
  /** Acks of the whole run. */
  ackedInAll: number;
}

/** Length of each payload. */
export const PAYLOAD_BYTES = 120;
