/**
 * Reads from InfluxDB 2 with Flux. Values reach a query only as Flux literals.
 */
import {
  type FluxParameterLike,
  flux,
  fluxDateTime,
  fluxInteger,
  fluxString,
  type ParameterizedQuery,
  type QueryApi,
} from "@influxdata/influxdb-client";
import type { Alert } from "../../../contracts/alert.js";
import { SluiceError } from "../../../contracts/errors.js";
import { ROLLUP_FIELDS, type Rollup } from "../../../contracts/rollup.js";
import { type DeviceRow, type Dialect, toDevice } from "./dialect.js";
import { ALERTS, DEVICE_POINT_MS, DEVICES } from "./lines.js";
import { unavailable } from "./unavailable.js";

/** The times that InfluxDB can hold, as 64 bits of nanoseconds. */
const MIN_MS = -9_223_372_036_854;
const MAX_MS = 9_223_372_036_854;

export function fluxDialect(api: QueryApi, bucket: string): Dialect {
  async function rows<T>(query: ParameterizedQuery): Promise<T[]> {
    try {
      return await api.collectRows<T>(query);
    } catch (error) {
      throw unavailable("reading", error);
    }
  }

  return {
    async prepare() {},

    async rollups({ device, metric, resolution, from, to, limit }, measurement) {
      const found = await rows<Record<string, string | number>>(flux`from(bucket: ${bucket})
  |> range(start: ${time(from)}, stop: ${time(to)})
  |> filter(fn: (r) => r._measurement == ${measurement} and r.device == ${device} and r.metric == ${metric})
  |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
  |> group()
  |> sort(columns: ["_time"])
  |> limit(n: ${fluxInteger(Math.min(limit ?? MAX_ROWS, MAX_ROWS))})`);
      return found.map((row) => {
        const fields = ROLLUP_FIELDS.map((field) => [field, Number(row[field])]);
        const start = Date.parse(String(row._time));
        return { device, metric, resolution, start, ...Object.fromEntries(fields) } as Rollup;
      });
    },

    async alerts({ state, device, limit }) {
      const ofDevice = device === undefined ? flux`true` : flux`r.device == ${device}`;
      const inState = state === undefined ? flux`true` : flux`r.state == ${state}`;
      const found = await rows<{ alert_json: string }>(flux`from(bucket: ${bucket})
  |> range(start: ${time(MIN_MS)}, stop: ${time(MAX_MS)})
  |> filter(fn: (r) => r._measurement == ${ALERTS} and ${ofDevice})
  |> filter(fn: (r) => r._field == "updated_at" or r._field == "alert_json")
  |> pivot(rowKey: ["_time", "alert_id", "state"], columnKey: ["_field"], valueColumn: "_value")
  |> group(columns: ["alert_id"])
  |> sort(columns: ["updated_at", "state"])
  |> tail(n: 1)
  |> group()
  |> filter(fn: (r) => ${inState})
  |> sort(columns: ["updated_at", "alert_id"], desc: true)
  |> limit(n: ${fluxInteger(limit)})`);
      return found.map(({ alert_json }) => JSON.parse(alert_json) as Alert);
    },

    async devices() {
      const found = await rows<DeviceRow>(flux`from(bucket: ${bucket})
  |> range(start: ${time(DEVICE_POINT_MS)}, stop: ${time(DEVICE_POINT_MS + 1)})
  |> filter(fn: (r) => r._measurement == ${DEVICES})
  |> pivot(rowKey: ["device"], columnKey: ["_field"], valueColumn: "_value")
  |> group()
  |> sort(columns: ["device"])`);
      return found.map(toDevice);
    },

    async check() {
      const found = await rows(
        flux`buckets() |> filter(fn: (r) => r.name == ${fluxString(bucket)}) |> limit(n: 1)`,
      );
      if (found.length === 0) {
        throw new SluiceError(
          "STORE_UNAVAILABLE",
          `bucket "${bucket}" does not exist, or the token cannot see it`,
        );
      }
    },
  };
}

/** What Flux takes as a limit. */
const MAX_ROWS = 2 ** 31 - 1;

function time(ms: number): FluxParameterLike {
  return fluxDateTime(new Date(Math.min(Math.max(Math.ceil(ms), MIN_MS), MAX_MS)).toISOString());
}
