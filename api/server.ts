/**
 * The HTTP API: health, metrics, queries, the event stream and the live page, on one port. Reads only; nothing
 * here changes the log or the store.
 */
import type { AddressInfo } from "node:net";
import fastify, { type FastifyInstance } from "fastify";
import { SluiceError } from "../contracts/errors.js";
import type { Clock } from "../contracts/ports/clock.js";
import type { Log } from "../contracts/ports/log.js";
import type { Store } from "../contracts/ports/store.js";
import { DEFAULT_RESOLUTIONS, type Resolution } from "../contracts/window.js";
import type { Logger } from "../runtime/logger.js";
import type { Registry } from "../runtime/metrics.js";
import { ApiError, toApiError } from "./errors.js";
import type { LiveFeed } from "./live-feed.js";
import { createStreamMetrics, observeRequests } from "./metrics.js";
import { openApiDocument } from "./openapi.js";
import { servePage } from "./page.js";
import type { Route } from "./route.js";
import { deadLetterRoutes } from "./routes/dead-letters.js";
import { operationsRoutes } from "./routes/operations.js";
import { STREAM_PATH, streamRoutes } from "./routes/stream.js";
import { telemetryRoutes } from "./routes/telemetry.js";
import type { ApiReadiness } from "./schemas.js";
import { addSecureHeaders } from "./security.js";
import { DEFAULT_STREAM_LIMITS, StreamHub, type StreamLimits } from "./stream.js";

/** What the API shows but does not own; given by the composition root. */
export interface ApiSources {
  /** Flat counters and gauges of the gateway and the processors of this process. */
  stats(): Record<string, unknown>;
  ready(): Promise<ApiReadiness>;
  live: LiveFeed;
  /** Where this process takes MQTT; absent when it does not. */
  mqttPort?: () => number | undefined;
}

export interface ApiOptions {
  host: string;
  /** 0 takes a free one. */
  port: number;
  store: Store;
  log: Log;
  registry: Registry;
  logger: Logger;
  clock: Clock;
  sources: ApiSources;
  /** Directory of the built page; without it there is no page. */
  pageDir?: string | undefined;
  /** Resolutions that rollups exist in, finest first. */
  resolutions?: readonly Resolution[] | undefined;
  stream?: Partial<StreamLimits> | undefined;
}

export interface Api {
  /** The port that was taken. */
  readonly port: number;
  /** Ends the streams, finishes running requests, frees the port. Idempotent. */
  close(): Promise<void>;
}

const BODY_LIMIT_BYTES = 64 * 1_024;
const REQUEST_TIMEOUT_MS = 30_000;

/**
 * Starts the API.
 * @throws SluiceError LISTEN_FAILED when the address cannot be taken
 */
export async function startApi(options: ApiOptions): Promise<Api> {
  const logger = options.logger.child({ module: "api" });
  const app = fastify({ bodyLimit: BODY_LIMIT_BYTES, requestTimeout: REQUEST_TIMEOUT_MS });
  const hub = createHub(options, logger);
  const routes = createRoutes(options, hub, logger);
  observeRequests(app, options.registry, STREAM_PATH);
  addSecureHeaders(app);
  addErrorHandlers(app, routes, logger);
  for (const route of routes) register(app, route);
  if (options.pageDir !== undefined) await servePage(app, options.pageDir);
  app.addHook("preClose", () => hub.close());
  await listen(app, options);
  let closing: Promise<void> | undefined;
  return {
    port: (app.server.address() as AddressInfo).port,
    close: () => {
      closing ??= app.close().then(() => undefined);
      return closing;
    },
  };
}

function createHub(options: ApiOptions, logger: Logger): StreamHub {
  return new StreamHub({
    live: options.sources.live,
    stats: statsOf(options),
    clock: options.clock,
    logger,
    metrics: createStreamMetrics(options.registry),
    limits: { ...DEFAULT_STREAM_LIMITS, ...options.stream },
  });
}

/** All routes of the API. The document of the API is one of them, and lists itself. */
function createRoutes(options: ApiOptions, hub: StreamHub, logger: Logger): Route[] {
  const { store, log, registry, clock, sources, resolutions = DEFAULT_RESOLUTIONS } = options;
  const routes: Route[] = [
    ...operationsRoutes({
      clock,
      logger,
      registry,
      resolutions,
      mqttPort: sources.mqttPort ?? (() => undefined),
      stats: statsOf(options),
      ready: () => sources.ready(),
    }),
    ...telemetryRoutes({ store, clock, resolutions }),
    ...deadLetterRoutes(log),
    ...streamRoutes(hub),
  ];
  let document: unknown;
  routes.push({
    path: "/openapi.json",
    summary: "This document",
    responses: { 200: { description: "OpenAPI 3.1", contentType: "application/json" } },
    handle: async () => document,
  });
  document = openApiDocument(routes);
  return routes;
}

function statsOf({ sources, clock }: ApiOptions): () => Record<string, unknown> {
  return () => ({ ...sources.stats(), now: clock.now() });
}

function register(app: FastifyInstance, route: Route): void {
  app.route({
    method: "GET",
    url: route.path,
    exposeHeadRoute: route.path !== STREAM_PATH,
    handler: (request, reply) => route.handle(request.query, reply),
  });
}

function addErrorHandlers(app: FastifyInstance, routes: readonly Route[], logger: Logger): void {
  const paths = new Set(routes.map((route) => route.path));
  app.setErrorHandler((error, request, reply) => {
    const answer = toApiError(error);
    if (answer.status >= 500) {
      logger.error({ err: error, method: request.method, url: request.url }, "request failed");
    }
    if (answer.status === 503) reply.header("retry-after", "1");
    return reply.code(answer.status).send(bodyOf(answer));
  });
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split("?", 1)[0]!;
    const known = paths.has(path);
    const answer = known
      ? new ApiError(405, "METHOD_NOT_ALLOWED", `${path} answers GET only`)
      : new ApiError(404, "NOT_FOUND", `there is nothing at ${path}; /openapi.json lists what there is`);
    if (known) reply.header("allow", "GET, HEAD");
    return reply.code(answer.status).send(bodyOf(answer));
  });
}

function bodyOf({ code, message }: ApiError) {
  return { error: { code, message } };
}

async function listen(app: FastifyInstance, { host, port }: ApiOptions): Promise<void> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    await app.close();
    throw new SluiceError("LISTEN_FAILED", `cannot listen for HTTP on ${host}:${port}: ${error}`, {
      cause: error,
    });
  }
}
