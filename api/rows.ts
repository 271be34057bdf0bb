/**
 * From the shared language to the rows of the API.
 */
import type { DeviceSummary } from "../contracts/device.js";
import type { Rollup } from "../contracts/rollup.js";
import type { ApiDevice, ApiRollupRow } from "./schemas.js";

/** A device as the API shows it. */
export function toApiDevice(summary: DeviceSummary): ApiDevice {
  const { device, lastTs, lastIngestTs, readings, latest } = summary;
  return { device, lastTs, lastIngestTs, readings, latest, metrics: Object.keys(latest).sort() };
}

/** A rollup without what the question already said. */
export function toApiRow(rollup: Rollup): ApiRollupRow {
  const { device: _device, metric: _metric, resolution: _resolution, ...row } = rollup;
  return row;
}
