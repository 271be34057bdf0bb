/**
 * The fleet: every known device, kept in name order, and what of it a search shows.
 */
import type { ApiDevice } from "../../../api/schemas.js";

/** Replaced as a whole on every change; `byId` is shared between versions, so compare the Fleet itself. */
export interface Fleet {
  readonly byId: ReadonlyMap<string, ApiDevice>;
  /** In natural order: d2 before d10. */
  readonly ids: readonly string[];
}

export const EMPTY_FLEET: Fleet = { byId: new Map(), ids: [] };

const NATURAL = new Intl.Collator("en", { numeric: true });

/** Folds rows in. A row that knows of fewer readings is older and is passed over. */
export function withDevices(fleet: Fleet, rows: readonly ApiDevice[]): Fleet {
  const byId = fleet.byId as Map<string, ApiDevice>;
  const target = fleet === EMPTY_FLEET ? new Map<string, ApiDevice>() : byId;
  const added: string[] = [];
  for (const row of rows) {
    const known = target.get(row.device);
    if (!known) added.push(row.device);
    if (!known || row.readings >= known.readings) target.set(row.device, row);
  }
  const ids = added.length === 0 ? fleet.ids : [...fleet.ids, ...added].sort(NATURAL.compare);
  return { byId: target, ids };
}

/** A device that sent nothing for this long counts as silent on this page. */
export const SILENT_AFTER_MS = 60_000;

export type DeviceState = "alerting" | "online" | "silent";

export function stateOf(device: ApiDevice, now: number, firing: ReadonlyMap<string, unknown>): DeviceState {
  if (firing.has(device.device)) return "alerting";
  return now - device.lastIngestTs < SILENT_AFTER_MS ? "online" : "silent";
}

export type StateFilter = "all" | DeviceState;

export interface FleetView {
  /** Matching ids: alerting devices first, then by name. */
  ids: string[];
  counts: Record<StateFilter, number>;
}

/** What a search shows. Every word must be in the device's id or in one of its metric names. */
export function viewFleet(
  fleet: Fleet,
  search: string,
  filter: StateFilter,
  now: number,
  firing: ReadonlyMap<string, unknown>,
): FleetView {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const counts = { all: fleet.ids.length, alerting: 0, online: 0, silent: 0 };
  const first: string[] = [];
  const rest: string[] = [];
  for (const id of fleet.ids) {
    const device = fleet.byId.get(id)!;
    const state = stateOf(device, now, firing);
    counts[state]++;
    if (filter !== "all" && filter !== state) continue;
    if (!words.every((word) => matches(device, word))) continue;
    (state === "alerting" ? first : rest).push(id);
  }
  return { ids: first.concat(rest), counts };
}

function matches(device: ApiDevice, word: string): boolean {
  return (
    device.device.toLowerCase().includes(word) ||
    device.metrics.some((metric) => metric.toLowerCase().includes(word))
  );
}
