/**
 * What the store knows: devices, rollups, alerts.
 */
import { z } from "zod";
import type { Clock } from "../../contracts/ports/clock.js";
import type { Store } from "../../contracts/ports/store.js";
import type { Resolution } from "../../contracts/window.js";
import { ApiError } from "../errors.js";
import { limitParam, nameParam, timeParam } from "../query.js";
import { json, plainRoute, queryRoute, type Route } from "../route.js";
import { toApiDevice, toApiRow } from "../rows.js";
import {
  type ApiAlertList,
  type ApiDeviceList,
  type ApiRollupList,
  alertListSchema,
  deviceListSchema,
  errorSchema,
  rollupListSchema,
} from "../schemas.js";

const HOUR_MS = 3_600_000;
const STORE_DOWN = json("The store is unavailable: try again", errorSchema);
const BAD_QUERY = json("A parameter is missing or wrong; the message names it", errorSchema);

export interface TelemetrySources {
  store: Store;
  clock: Clock;
  resolutions: readonly Resolution[];
}

export function telemetryRoutes(sources: TelemetrySources): Route[] {
  return [devicesRoute(sources), rollupsRoute(sources), alertsRoute(sources)];
}

function devicesRoute({ store }: TelemetrySources): Route {
  return plainRoute({
    path: "/api/v1/devices",
    summary: "Every known device with its latest values, by name",
    responses: { 200: json("The devices", deviceListSchema), 503: STORE_DOWN },
    handler: async (): Promise<ApiDeviceList> => ({ devices: (await store.devices()).map(toApiDevice) }),
  });
}

function rollupsRoute({ store, clock, resolutions }: TelemetrySources): Route {
  const names = resolutions.map((resolution) => resolution.name) as [string, ...string[]];
  return queryRoute({
    path: "/api/v1/rollups",
    summary: "Rollups of one series, earliest first; windows whose start is in [from, to)",
    query: z.strictObject({
      device: nameParam("Device id"),
      metric: nameParam("Metric name"),
      resolution: z.enum(names).default(names[0]).describe("Window size"),
      from: timeParam("First window start; an hour ago by default").optional(),
      to: timeParam(
        "End, exclusive; by default now and one window, so that the open window is in",
      ).optional(),
      limit: limitParam(20_000, 5_000),
    }),
    responses: { 200: json("The rollups", rollupListSchema), 400: BAD_QUERY, 503: STORE_DOWN },
    handler: async (query): Promise<ApiRollupList> => {
      const { device, metric, resolution, limit } = query;
      const { sizeMs } = resolutions.find(({ name }) => name === resolution)!;
      const now = clock.now();
      const to = query.to ?? now + sizeMs;
      const from = query.from ?? Math.min(now, to) - HOUR_MS;
      if (from >= to) {
        throw new ApiError(400, "BAD_REQUEST", `parameter "from" (${from}) must be before "to" (${to})`);
      }
      const found = await store.rollups({ device, metric, resolution, from, to, limit: limit + 1 });
      const truncated = found.length > limit;
      const nextFrom = truncated ? found[limit]!.start : null;
      const rollups = found.slice(0, limit).map(toApiRow);
      return { device, metric, resolution, from, to, rollups, truncated, nextFrom };
    },
  });
}

function alertsRoute({ store }: TelemetrySources): Route {
  return queryRoute({
    path: "/api/v1/alerts",
    summary: "The latest state of each alert, newest transition first",
    query: z.strictObject({
      state: z.enum(["firing", "resolved"]).optional().describe("Only alerts in this state"),
      device: nameParam("Only alerts of this device").optional(),
      limit: limitParam(1_000, 100),
    }),
    responses: { 200: json("The alerts", alertListSchema), 400: BAD_QUERY, 503: STORE_DOWN },
    handler: async ({ state, device, limit }): Promise<ApiAlertList> => {
      const filter = { ...(state && { state }), ...(device !== undefined && { device }) };
      return { alerts: await store.alerts({ ...filter, limit }) };
    },
  });
}
