/**
 * Tables and queries of QuestDB, as SQL over HTTP.
 *
 * Every table is made before its first line arrives: QuestDB would make it by itself, but without deduplication,
 * and then a rewritten row would stand beside the one it replaces.
 */
import type { Alert } from "../../../contracts/alert.js";
import { SluiceError } from "../../../contracts/errors.js";
import { ROLLUP_FIELDS, type Rollup } from "../../../contracts/rollup.js";
import { type DeviceRow, type Dialect, toDevice } from "./dialect.js";
import { ALERTS, DEVICES } from "./lines.js";
import { unavailable } from "./unavailable.js";

export interface QuestdbOptions {
  url: string;
  token: string;
  timeoutMs: number;
}

const ROLLUP_TABLE = `(
  device SYMBOL CAPACITY 4096, metric SYMBOL,
  count LONG, min DOUBLE, max DOUBLE, sum DOUBLE, mean DOUBLE, first DOUBLE, last DOUBLE,
  p50 DOUBLE, p95 DOUBLE, p99 DOUBLE, revision LONG, timestamp TIMESTAMP
) TIMESTAMP(timestamp) PARTITION BY DAY WAL DEDUP UPSERT KEYS(timestamp, device, metric)`;

const ALERT_TABLE = `(
  alert_id SYMBOL CAPACITY 4096, device SYMBOL CAPACITY 4096, metric SYMBOL, rule SYMBOL, severity SYMBOL, state SYMBOL,
  value DOUBLE, score DOUBLE, threshold DOUBLE, expected DOUBLE, lower DOUBLE, upper DOUBLE,
  started_at LONG, updated_at LONG, resolved_at LONG,
  detector VARCHAR, summary VARCHAR, alert_json VARCHAR, timestamp TIMESTAMP
) TIMESTAMP(timestamp) PARTITION BY MONTH WAL DEDUP UPSERT KEYS(timestamp, alert_id, state)`;

const DEVICE_TABLE = `(
  device SYMBOL CAPACITY 4096, last_ts LONG, last_ingest_ts LONG, readings LONG, latest VARCHAR, timestamp TIMESTAMP
) TIMESTAMP(timestamp) PARTITION BY YEAR WAL DEDUP UPSERT KEYS(timestamp, device)`;

export function questdbDialect(options: QuestdbOptions): Dialect {
  const ask = <T>(sql: string, table?: string) => query<T>(options, sql, table);

  return {
    async prepare(measurement) {
      const special: Record<string, string> = { [ALERTS]: ALERT_TABLE, [DEVICES]: DEVICE_TABLE };
      await ask(`CREATE TABLE IF NOT EXISTS "${measurement}" ${special[measurement] ?? ROLLUP_TABLE}`);
      if (measurement === ALERTS)
        await ask(`ALTER TABLE ${ALERTS} ADD COLUMN IF NOT EXISTS alert_json VARCHAR`);
      const found = await ask<{ dedup: boolean }>(
        `SELECT dedup FROM tables() WHERE table_name = ${text(measurement)}`,
      );
      if (found[0]?.dedup !== true) {
        const what = `table ${measurement} keeps rewritten rows: it needs DEDUP UPSERT KEYS`;
        throw new SluiceError("STORE_UNAVAILABLE", what);
      }
    },

    async rollups({ device, metric, resolution, from, to, limit }, measurement) {
      const found = await ask<Record<string, number>>(
        `SELECT (timestamp::LONG / 1000) start, ${ROLLUP_FIELDS.join(", ")} FROM "${measurement}"
         WHERE device = ${text(device)} AND metric = ${text(metric)}
           AND timestamp >= ${micros(from)} AND timestamp < ${micros(to)}
         ORDER BY timestamp ${limit === undefined ? "" : `LIMIT ${Math.trunc(limit)}`}`,
        measurement,
      );
      return found.map(
        ({ start, ...fields }) => ({ device, metric, resolution, start, ...fields }) as Rollup,
      );
    },

    async alerts({ state, device, limit }) {
      const ofDevice = device === undefined ? "" : `WHERE device = ${text(device)}`;
      const inState = state === undefined ? "" : `AND state = ${text(state)}`;
      const found = await ask<{ alert_json: string }>(
        `SELECT alert_json FROM (
           SELECT alert_json, alert_id, state, updated_at,
             row_number() OVER (PARTITION BY alert_id ORDER BY updated_at DESC, state DESC) place
           FROM ${ALERTS} ${ofDevice})
         WHERE place = 1 ${inState}
         ORDER BY updated_at DESC, alert_id DESC LIMIT ${Math.trunc(limit)}`,
        ALERTS,
      );
      return found.map(({ alert_json }) => JSON.parse(alert_json) as Alert);
    },

    async devices() {
      const found = await ask<DeviceRow>(
        `SELECT device, last_ts, last_ingest_ts, readings, latest FROM ${DEVICES} ORDER BY device`,
        DEVICES,
      );
      return found.map(toDevice);
    },

    async check() {
      await ask("SELECT 1");
    },
  };
}

/** Runs one statement. A table that does not exist yet has no rows. */
async function query<T>(
  { url, token, timeoutMs }: QuestdbOptions,
  sql: string,
  table?: string,
): Promise<T[]> {
  const address = new URL("exec", url.endsWith("/") ? url : `${url}/`);
  address.search = String(new URLSearchParams({ query: sql }));
  const headers: Record<string, string> = token === "" ? {} : { authorization: `Bearer ${token}` };
  try {
    const response = await fetch(address, { headers, signal: AbortSignal.timeout(timeoutMs) });
    const answer = (await response.json()) as Answer;
    if (answer.error?.includes("table does not exist") && table !== undefined) return [];
    if (!response.ok || answer.error !== undefined)
      throw new Error(answer.error ?? `status ${response.status}`);
    const names = answer.columns?.map(({ name }) => name) ?? [];
    return (answer.dataset ?? []).map(
      (row) => Object.fromEntries(row.map((cell, i) => [names[i], cell])) as T,
    );
  } catch (error) {
    throw unavailable("asking QuestDB", error instanceof TypeError && error.cause ? error.cause : error);
  }
}

interface Answer {
  columns?: { name: string }[];
  dataset?: unknown[][];
  error?: string;
}

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

/** QuestDB counts microseconds; its calendar ends with the year 9999. */
function micros(ms: number): string {
  const lastMs = 253_402_300_799_000;
  return `${Math.min(Math.max(Math.ceil(ms), 0), lastMs)}000::TIMESTAMP`;
}
