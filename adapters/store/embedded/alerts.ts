/**
 * Alerts in LMDB: the latest state of each by id, with an index by state and time, for all and per device.
 *
 * The index is a hint: an entry counts only when the alert itself agrees with it. So an entry left behind by two
 * processes that write one alert at once is skipped, never shown.
 */
import type { Alert, AlertState } from "../../../contracts/alert.js";
import type { AlertQuery } from "../../../contracts/ports/store.js";
import { alertIndexKey, alertIndexRange, pack, unpack } from "./codec.js";
import type { StateEnv, Write } from "./env.js";

const DEFAULT_LIMIT = 100;
const ALL_DEVICES = "";
const NOTHING = new Uint8Array(0);

/** The writes that replace each alert and its index entries. No other write of alerts may run meanwhile. */
export function alertWrites(env: StateEnv, alerts: readonly Alert[]): Write[] {
  const latest = new Map(alerts.map((alert) => [alert.id, alert]));
  const writes: Write[] = [];
  for (const alert of latest.values()) {
    const key = Buffer.from(alert.id);
    const before = env.read((transaction) => env.alerts.get(key, { transaction }));
    if (before !== undefined) {
      for (const entry of indexKeys(unpack<Alert>(before))) {
        writes.push({ table: env.alertIndex, key: entry, value: undefined });
      }
    }
    writes.push({ table: env.alerts, key, value: pack(alert) });
    for (const entry of indexKeys(alert)) writes.push({ table: env.alertIndex, key: entry, value: NOTHING });
  }
  return writes;
}

function indexKeys({ device, state, updatedAt, id }: Alert): Buffer[] {
  return [ALL_DEVICES, device].map((scope) => alertIndexKey(scope, state, updatedAt, id));
}

/** Newest first; alerts of one time by id. */
export function readAlerts(env: StateEnv, query: AlertQuery): Alert[] {
  const { limit = DEFAULT_LIMIT, device = ALL_DEVICES } = query;
  const states: AlertState[] = query.state === undefined ? ["firing", "resolved"] : [query.state];
  return env.read((transaction) => {
    const found = states.flatMap((state) => {
      const { start, end, entry } = alertIndexRange(device, state);
      const alerts: Alert[] = [];
      // In reverse, lmdb starts above the range and stops before its end: both bounds sort apart from all entries.
      for (const key of env.alertIndex.getKeys({ start: end, end: start, reverse: true, transaction })) {
        if (alerts.length >= limit) break;
        const { id, updatedAt } = entry(key);
        const value = env.alerts.get(Buffer.from(id), { transaction });
        const alert = value && unpack<Alert>(value);
        if (alert?.state === state && alert.updatedAt === updatedAt) alerts.push(alert);
      }
      return alerts;
    });
    return found.sort((a, b) => b.updatedAt - a.updatedAt || (a.id < b.id ? 1 : -1)).slice(0, limit);
  });
}
