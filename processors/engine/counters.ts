/**
 * What a task has done with its input, as totals over the log: kept in the checkpoint, so that a restart neither
 * forgets nor repeats a count (INV-2).
 */
export interface TaskCounters {
  /** Records taken from `telemetry.readings`. = counted + duplicates + late + poison. */
  processed: number;
  /** Readings that count in rollups. */
  counted: number;
  duplicates: number;
  late: number;
  /** Records that are no readings. */
  poison: number;
  alertsFired: number;
  alertsResolved: number;
}

export const COUNTER_NAMES = [
  "processed",
  "counted",
  "duplicates",
  "late",
  "poison",
  "alertsFired",
  "alertsResolved",
] as const satisfies readonly (keyof TaskCounters)[];

export function zeroCounters(): TaskCounters {
  return { processed: 0, counted: 0, duplicates: 0, late: 0, poison: 0, alertsFired: 0, alertsResolved: 0 };
}

export function addCounters(a: TaskCounters, b: TaskCounters): TaskCounters {
  const sum = zeroCounters();
  for (const name of COUNTER_NAMES) sum[name] = a[name] + b[name];
  return sum;
}
