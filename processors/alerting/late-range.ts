/**
 * Readings that came late, judged by a plain range: it keeps no state, so a late reading is judged as well as any other,
 * and what it says of the past is put right.
 *
 * - An alarm before an alert, with no reading known in between that clears it, moves the alert's beginning back.
 * - An alarm that a known later reading clears was an alert of its own: it fires and is resolved at once.
 * - A reading that clears, later than the last alarm, ends the alert there and not later.
 *
 * What lies in between is judged by the readings still known ({@link RecentReadings}). A late reading that clears in the
 * middle of an alert does not split it in two.
 */
import type { Alert } from "../../contracts/alert.js";
import type { Verdict } from "../anomaly/detector.js";
import { isCleared, isRaised, type RangeParams } from "../anomaly/range.js";
import { isActive } from "./active-hours.js";
import { ended, type Life } from "./life.js";
import type { RecentReadings } from "./recent-readings.js";
import type { Rule } from "./rules.js";

/** @returns the records that take the place of earlier ones, and new ones */
export function judgeLate(
  life: Life,
  rule: Rule,
  reading: { ts: number; value: number; verdict: Verdict; raised: boolean },
  recent: RecentReadings,
): Alert[] {
  if (reading.ts <= life.floorTs) return [];
  if (reading.raised) return lateAlarm(life, rule, reading, recent);
  if (isCleared(rule.params as RangeParams, reading.value)) return lateClear(life, rule, reading, recent);
  return [];
}

function lateAlarm(
  life: Life,
  rule: Rule,
  { ts, value, verdict }: { ts: number; value: number; verdict: Verdict },
  recent: RecentReadings,
): Alert[] {
  const { active, last } = life;
  const beforeLast = last !== null && ts < beginOf(last.alert);
  if (!beforeLast && ts <= life.endTs) return [];
  if (!beforeLast && active && ts >= beginOf(active)) {
    life.alarmTs = Math.max(life.alarmTs, ts);
    return [];
  }
  const next = beforeLast ? last.alert : active;
  const nextBegin = next ? beginOf(next) : (life.pendingSince ?? Number.POSITIVE_INFINITY);
  const params = rule.params as RangeParams;
  const cleared = recent.first(
    ts,
    nextBegin,
    (at, v) => at >= ts + rule.clearAfterMs && isCleared(params, v),
  );
  if (cleared) {
    if (rule.forMs > 0) return [];
    const firing = life.begin(ts, ts, value, verdict, recent);
    const resolved = ended(firing, ...cleared);
    if (beforeLast) life.floorTs = cleared[0];
    else {
      life.floorTs = life.endTs;
      life.endTs = cleared[0];
      life.last = { alert: resolved, alarmTs: ts };
    }
    return [firing, resolved];
  }
  if (next) {
    const corrected: Alert = { ...next, corrected: true, correctedStartedAt: ts };
    if (beforeLast) life.last = { ...last, alert: corrected };
    else life.active = corrected;
    return [corrected];
  }
  life.pendingSince = Math.min(ts, life.pendingSince ?? ts);
  life.alarmTs = Math.max(life.alarmTs, ts);
  if (life.alarmTs - life.pendingSince < rule.forMs) return [];
  life.active = life.begin(life.pendingSince, life.alarmTs, value, verdict, recent);
  return [life.active];
}

function lateClear(
  life: Life,
  rule: Rule,
  { ts, value }: { ts: number; value: number },
  recent: RecentReadings,
): Alert[] {
  const { active, last, pendingSince } = life;
  if (active && ts > life.alarmTs && ts >= life.alarmTs + life.clearAfterMs) return [life.end(ts, value)];
  if (pendingSince !== null && ts > pendingSince) {
    const params = rule.params as RangeParams;
    const raised = recent.first(
      ts,
      Number.POSITIVE_INFINITY,
      (at, v) => isRaised(params, v) && isActive(rule.activeHours, at),
    );
    life.pendingSince = raised ? raised[0] : null;
  }
  if (!last || ts >= life.endTs || ts <= last.alarmTs || ts < last.alarmTs + rule.clearAfterMs) return [];
  if (last.alert.flapping) return [];
  const alert: Alert = { ...last.alert, corrected: true, resolvedAt: ts, value };
  life.last = { ...last, alert };
  life.endTs = ts;
  return [alert];
}

function beginOf(alert: Alert): number {
  return alert.correctedStartedAt ?? alert.startedAt;
}
