/**
 * Health, readiness, metrics, counters, and what a client needs to know of this gateway.
 */
import type { Clock } from "../../contracts/ports/clock.js";
import type { Resolution } from "../../contracts/window.js";
import type { Logger } from "../../runtime/logger.js";
import type { Registry } from "../../runtime/metrics.js";
import { json, plainRoute, type Route } from "../route.js";
import {
  type ApiInfo,
  type ApiReadiness,
  type ApiStats,
  healthSchema,
  infoSchema,
  readinessSchema,
  statsSchema,
} from "../schemas.js";

export interface OperationsSources {
  clock: Clock;
  logger: Logger;
  registry: Registry;
  resolutions: readonly Resolution[];
  mqttPort: () => number | undefined;
  stats: () => ApiStats;
  ready: () => Promise<ApiReadiness>;
}

export function operationsRoutes(sources: OperationsSources): Route[] {
  return [
    healthRoute(sources),
    readyRoute(sources),
    metricsRoute(sources),
    statsRoute(sources),
    infoRoute(sources),
  ];
}

function healthRoute({ clock }: OperationsSources): Route {
  const startedMs = clock.monotonicMs();
  return plainRoute({
    path: "/healthz",
    summary: "The process is alive",
    responses: { 200: json("Alive", healthSchema) },
    handler: async () => ({ status: "ok", uptimeS: Math.floor((clock.monotonicMs() - startedMs) / 1_000) }),
  });
}

function readyRoute({ ready, logger }: OperationsSources): Route {
  return plainRoute({
    path: "/readyz",
    summary: "The gateway can take readings and answer queries; if not, why",
    responses: {
      200: json("Ready", readinessSchema),
      503: json("Not ready: see the checks that are not ok", readinessSchema),
    },
    handler: async (reply): Promise<ApiReadiness> => {
      const readiness = await ready().catch((error: unknown): ApiReadiness => {
        logger.error({ err: error }, "the readiness check itself failed");
        const detail = error instanceof Error ? error.message : String(error);
        return { ok: false, checks: [{ name: "readiness", ok: false, detail }] };
      });
      reply.code(readiness.ok ? 200 : 503);
      return readiness;
    },
  });
}

function metricsRoute({ registry }: OperationsSources): Route {
  return plainRoute({
    path: "/metrics",
    summary: "Metrics in the Prometheus text format",
    responses: { 200: { description: "The metrics", contentType: "text/plain" } },
    handler: async (reply) => {
      reply.type(registry.contentType);
      return registry.metrics();
    },
  });
}

function statsRoute({ stats }: OperationsSources): Route {
  return plainRoute({
    path: "/api/v1/stats",
    summary: "Every counter, flat",
    responses: { 200: json("The counters", statsSchema) },
    handler: async (): Promise<ApiStats> => stats(),
  });
}

function infoRoute({ clock, mqttPort, resolutions }: OperationsSources): Route {
  return plainRoute({
    path: "/api/v1/info",
    summary: "What this gateway is: its MQTT port, its rollup resolutions, its clock",
    responses: { 200: json("The facts", infoSchema) },
    handler: async (): Promise<ApiInfo> => ({
      name: "sluice",
      now: clock.now(),
      mqttPort: mqttPort() ?? null,
      resolutions: resolutions.map(({ name, sizeMs }) => ({ name, sizeMs })),
    }),
  });
}
