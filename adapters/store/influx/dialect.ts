/**
 * What differs between the servers behind one line protocol: making tables, and asking questions.
 */
import type { Alert } from "../../../contracts/alert.js";
import type { DeviceSummary } from "../../../contracts/device.js";
import type { AlertQuery, RollupQuery } from "../../../contracts/ports/store.js";
import type { Rollup } from "../../../contracts/rollup.js";

/** Every method throws SluiceError STORE_UNAVAILABLE when the server does not answer as it should. */
export interface Dialect {
  /** Called before a measurement is written for the first time. */
  prepare(measurement: string): Promise<void>;
  /** `query` has a range that is not empty. */
  rollups(query: RollupQuery, measurement: string): Promise<Rollup[]>;
  alerts(query: Required<Pick<AlertQuery, "limit">> & AlertQuery): Promise<Alert[]>;
  devices(): Promise<DeviceSummary[]>;
  check(): Promise<void>;
}

/** A device point as it is read back; a server gives its integers as numbers or as text. */
export interface DeviceRow {
  device: string;
  last_ts: number | string;
  last_ingest_ts: number | string;
  readings: number | string;
  latest: string;
}

export function toDevice(row: DeviceRow): DeviceSummary {
  return {
    device: row.device,
    lastTs: Number(row.last_ts),
    lastIngestTs: Number(row.last_ingest_ts),
    readings: Number(row.readings),
    latest: JSON.parse(row.latest),
  };
}
