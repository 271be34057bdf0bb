/**
 * The API's own metrics. Labels are bounded: route templates, never paths or ids.
 */
import type { FastifyInstance } from "fastify";
import { Gauge, Histogram, Counter as PromCounter, type Registry } from "../runtime/metrics.js";

export interface StreamMetrics {
  clients: Gauge;
  slow: PromCounter;
}

export function createStreamMetrics(registry: Registry): StreamMetrics {
  return {
    clients: new Gauge({
      name: "sluice_http_stream_clients",
      help: "Clients of the event stream now",
      registers: [registry],
    }),
    slow: new PromCounter({
      name: "sluice_http_stream_slow_clients_total",
      help: "Clients of the event stream that were closed because they did not keep up",
      registers: [registry],
    }),
  };
}

/** Times every request of `app`, except the stream's, whose length says nothing. */
export function observeRequests(app: FastifyInstance, registry: Registry, streamPath: string): void {
  const seconds = new Histogram({
    name: "sluice_http_request_seconds",
    help: "Time to answer an HTTP request",
    labelNames: ["route", "method", "status"],
    buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10],
    registers: [registry],
  });
  app.addHook("onResponse", async (request, reply) => {
    const url = request.is404 ? "unmatched" : request.routeOptions.url;
    if (url === streamPath) return;
    const route = url === "/*" || url === "/" ? "page" : (url ?? "unmatched");
    seconds.observe({ route, method: request.method, status: reply.statusCode }, reply.elapsedTime / 1_000);
  });
}
