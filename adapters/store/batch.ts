/**
 * Store batches without rows.
 */
import type { StoreBatch } from "../../contracts/ports/store.js";

export const EMPTY_BATCH: StoreBatch = { rollups: [], alerts: [], devices: [] };

export function isEmptyBatch({ rollups, alerts, devices }: StoreBatch): boolean {
  return rollups.length + alerts.length + devices.length === 0;
}
