/**
 * The store port: where rollups, alerts and device summaries are kept for queries. Adapters (embedded, Influx v2
 * line protocol) pass one contract suite, `testkit/contracts/store-suite.ts`.
 *
 * Guarantees asked of an adapter: `write` resolves only when every row is stored and a query can see it soon;
 * rows are upserts by identity, so writing twice is writing once and the last write wins (INV-5).
 */
import type { Alert, AlertState } from "../alert.js";
import type { DeviceSummary } from "../device.js";
import type { Rollup } from "../rollup.js";

/** A set of upserts. Order within a list is kept: a later row with the same identity wins. */
export interface StoreBatch {
  rollups: readonly Rollup[];
  alerts: readonly Alert[];
  devices: readonly DeviceSummary[];
}

export interface RollupQuery {
  device: string;
  metric: string;
  resolution: string;
  /** Window starts in [from, to), epoch milliseconds. */
  from: number;
  to: number;
  /** At most this many, the earliest first. */
  limit?: number;
}

export interface AlertQuery {
  state?: AlertState;
  device?: string;
  /** Newest first; default 100. */
  limit?: number;
}

/** One row a server would not take. */
export interface RejectedRow {
  kind: "rollup" | "alert" | "device";
  /** The row as it was sent (line protocol for Influx). */
  line: string;
  /** The server's own words. */
  reason: string;
}

export interface Store {
  /**
   * Upserts. Resolves with the rows that the server refused one by one (never silently dropped); empty when all
   * were stored.
   * @throws SluiceError STORE_UNAVAILABLE: nothing is known to be stored; write the same batch again
   */
  write(batch: StoreBatch): Promise<RejectedRow[]>;
  rollups(query: RollupQuery): Promise<Rollup[]>;
  /** The latest state of each alert, newest `updatedAt` first. */
  alerts(query: AlertQuery): Promise<Alert[]>;
  /** Every known device, by name. */
  devices(): Promise<DeviceSummary[]>;
  /** @throws SluiceError STORE_UNAVAILABLE */
  check(): Promise<void>;
  close(): Promise<void>;
}
