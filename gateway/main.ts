/**
 * The gateway: MQTT in, the log out. Composes its parts around a {@link Log} it is given, and does not close that.
 */
import { randomBytes } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "../contracts/ports/clock.js";
import type { Log } from "../contracts/ports/log.js";
import type { Logger } from "../runtime/logger.js";
import type { Registry } from "../runtime/metrics.js";
import { AlertsOut } from "./alerts-out.js";
import { Bridge } from "./bridge/bridge.js";
import { Admitter } from "./ingest/admit.js";
import { createRouter, DEFAULT_ROUTES } from "./ingest/route.js";
import { DEFAULT_LIMITS, type GatewayLimits } from "./limits.js";
import { Admission } from "./mqtt/admission.js";
import { Broker } from "./mqtt/broker.js";
import { MqttServer } from "./mqtt/server.js";
import { emptyStats, type GatewayStats, registerMetrics } from "./stats.js";
import { within } from "./within.js";

export { DEFAULT_LIMITS, type GatewayLimits, type GatewayStats };

export interface GatewayOptions {
  log: Log;
  clock: Clock;
  logger: Logger;
  registry: Registry;
  /** Port 0 picks a free one. */
  mqtt: { host: string; port: number };
  /** Only what differs from {@link DEFAULT_LIMITS}. */
  limits?: Partial<GatewayLimits>;
  /** Topics of telemetry, each with one level `{deviceId}`; default `devices/{deviceId}/telemetry`. */
  routes?: readonly string[];
  /** Publish the alerts of the log on `alerts/{deviceId}`. */
  publishAlerts: boolean;
}

export interface Gateway {
  /** Where it listens. */
  readonly port: number;
  /** The counters now. */
  stats(): GatewayStats;
  /** No new connections and no new packets; what was received is still acked. */
  stopAccepting(): void;
  /** Finishes what was received (for `closeDeadlineMs` at most), then closes. Idempotent. */
  close(): Promise<void>;
}

/** @throws SluiceError LISTEN_FAILED; Error when a route is malformed */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { log, clock, mqtt } = options;
  const limits: GatewayLimits = { ...DEFAULT_LIMITS, ...options.limits };
  const logger = options.logger.child({ part: "gateway" });
  const stats = emptyStats();
  const admission = new Admission(limits);
  const bridge = new Bridge({ log, clock, logger, limits, onRetry: () => stats.appendRetries++ });
  const admitter = new Admitter(limits, randomBytes(8).toString("hex"));
  const snapshot = () => {
    stats.inFlight = admission.messages;
    stats.inFlightBytes = admission.sizeBytes;
    stats.heldBytes = admission.heldBytes;
    stats.pausedConnections = admission.paused;
    stats.connections = server.connections;
    stats.remembered = admitter.remembered;
    return stats;
  };
  const { ackSeconds } = registerMetrics(options.registry, snapshot);
  const route = createRouter(options.routes ?? DEFAULT_ROUTES);
  const broker = await Broker.start({ admitter, bridge, route, clock, logger, limits, stats, ackSeconds });
  const server = new MqttServer({
    ...mqtt,
    limits,
    clock,
    logger,
    admission,
    stats,
    attach: (pipe) => broker.attach(pipe),
  });
  const alerts = new AlertsOut({
    log,
    clock,
    logger,
    publish: (topic, payload) => broker.publish(topic, payload, { qos: 1, retain: false }),
    onPublished: () => stats.alertsPublished++,
  });

  let port: number;
  try {
    port = await server.listen();
  } catch (error) {
    await broker.close();
    throw error;
  }
  if (options.publishAlerts) alerts.start();
  logger.info({ host: mqtt.host, port }, "MQTT is listening");

  const closeAll = async () => {
    server.stopReading();
    await within(clock, limits.closeDeadlineMs, alerts.close());
    await within(clock, limits.closeDeadlineMs, finished(admission, server));
    await broker.close();
    await within(clock, limits.closeDeadlineMs, bridge.idle());
    await within(clock, limits.closeDeadlineMs, bridge.close());
    await server.close();
  };
  let closing: Promise<void> | undefined;
  return {
    port,
    stats: () => structuredClone(snapshot()),
    stopAccepting: () => server.stopReading(),
    close: () => {
      closing ??= closeAll();
      return closing;
    },
  };
}

/** Resolves when nothing is in flight and the acks are out. */
async function finished(admission: Admission, server: MqttServer): Promise<void> {
  await admission.idle();
  // The broker writes a PUBREC some turns after it was told to.
  for (let turns = 0; turns < 10; turns++) await turn();
  await server.flushed();
}
