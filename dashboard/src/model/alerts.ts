/**
 * The alerts the page knows, by id: the latest transition of each.
 */
import type { ApiAlert } from "../../../api/schemas.js";

/** Resolved alerts kept on the page; firing ones are all kept. */
const KEPT_RESOLVED = 500;

/** Folds alerts in and orders them: firing first, then the newest transition. */
export function withAlerts(known: readonly ApiAlert[], news: readonly ApiAlert[]): ApiAlert[] {
  const byId = new Map(known.map((alert) => [alert.id, alert]));
  for (const alert of news) {
    const old = byId.get(alert.id);
    if (!old || newer(alert, old)) byId.set(alert.id, alert);
  }
  const sorted = [...byId.values()].sort(
    (a, b) =>
      Number(b.state === "firing") - Number(a.state === "firing") ||
      b.updatedAt - a.updatedAt ||
      (a.id < b.id ? -1 : 1),
  );
  const firing = sorted.filter((alert) => alert.state === "firing").length;
  return sorted.slice(0, firing + KEPT_RESOLVED);
}

/** A resolved alert never fires again: a new episode has a new id. */
function newer(alert: ApiAlert, old: ApiAlert): boolean {
  if (alert.state !== old.state) return alert.state === "resolved";
  return alert.updatedAt >= old.updatedAt;
}

/** The colour of a severity: only what is critical is red. */
export function toneOf(severity: ApiAlert["severity"] | undefined): "bad" | "warn" {
  return severity === "critical" ? "bad" : "warn";
}

const RANK = { info: 0, warning: 1, critical: 2 };

type Worst = ReadonlyMap<string, ApiAlert["severity"]>;

/** Every row in sight asks the same question of the same list. */
const known = new WeakMap<readonly ApiAlert[], Worst>();

/** Worst severity of the firing alerts of each device that has one. */
export function firingDevices(alerts: readonly ApiAlert[]): Worst {
  const found = known.get(alerts) ?? worstByDevice(alerts);
  known.set(alerts, found);
  return found;
}

function worstByDevice(alerts: readonly ApiAlert[]): Worst {
  const worst = new Map<string, ApiAlert["severity"]>();
  for (const { state, device, severity } of alerts) {
    if (state !== "firing") continue;
    const before = worst.get(device);
    if (!before || RANK[severity] > RANK[before]) worst.set(device, severity);
  }
  return worst;
}
