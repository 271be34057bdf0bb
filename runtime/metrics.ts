/**
 * The metrics registry of the process (prom-client). Modules register their own metrics on the registry they are
 * given; no module uses prom-client's global one, so that tests can run several instances side by side.
 */
import { collectDefaultMetrics, Registry } from "prom-client";

export { Counter, Gauge, Histogram, Registry } from "prom-client";

/** A registry with the process metrics of prom-client (CPU, memory, event-loop lag, garbage collection). */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}
