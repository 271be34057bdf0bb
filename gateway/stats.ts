/**
 * The counters of the gateway: one plain object that the hot path adds to, read by `/api/v1/stats` and exported as
 * Prometheus metrics. At rest `received = readings + invalid + refused` (INV-2).
 */
import { REASON_CODES, type ReasonCode } from "../contracts/errors.js";
import { Counter, Gauge, Histogram, type Registry } from "../runtime/metrics.js";

/** Why the gateway closed a connection of its own accord. */
export const CLOSE_REASONS = [
  "too_many_connections",
  "connect_timeout",
  "not_connect",
  "second_connect",
  "packet_too_large",
  "malformed",
  "bad_topic_name",
  "bad_packet_id",
  "bad_will",
  "keepalive",
  "slow_subscriber",
  "not_durable",
  "broker_error",
  "shutdown",
] as const;
export type CloseReason = (typeof CLOSE_REASONS)[number];

/** Counts since the start, but for the last group, which are levels. */
export interface GatewayStats {
  /** MQTT messages on topics of devices, wills included. */
  messages: number;
  qos0: number;
  qos1: number;
  qos2: number;
  /** Messages that carried the DUP flag. */
  dupFlagged: number;
  /** Items of those messages: one, or the elements of a batch. */
  received: number;
  /** Items durable as readings. */
  readings: number;
  /** Items durable as dead letters, and why. */
  invalid: number;
  invalidByReason: Record<ReasonCode, number>;
  /** Items that were neither when the gateway closed or the log refused them for good: never acked. */
  refused: number;
  /** Other messages: ordinary MQTT. */
  passthrough: number;
  /** Messages on topics clients may not publish to: acked, and gone nowhere. */
  forbidden: number;
  /** PUBLISH packets read from a connection that ended before they were admitted: never acked. */
  abandoned: number;
  /** Appends tried again. */
  appendRetries: number;
  connectionsOpened: number;
  connectionsClosed: Record<CloseReason, number>;
  alertsPublished: number;
  /** Messages to subscribers that are away, and retained messages, not kept because the bound was reached. */
  offlineDropped: number;
  /** Messages that did not go to a subscriber because it lags. */
  forwardDropped: number;
  retainedRefused: number;

  /** PUBLISH packets admitted and not yet acked, and their bytes. */
  inFlight: number;
  inFlightBytes: number;
  /** Bytes read ahead of full windows. */
  heldBytes: number;
  pausedConnections: number;
  connections: number;
  /** Messages remembered to know their re-sends. */
  remembered: number;
  offlineBytes: number;
  retainedBytes: number;
}

export function emptyStats(): GatewayStats {
  return {
    messages: 0,
    qos0: 0,
    qos1: 0,
    qos2: 0,
    dupFlagged: 0,
    received: 0,
    readings: 0,
    invalid: 0,
    invalidByReason: zeros(REASON_CODES),
    refused: 0,
    passthrough: 0,
    forbidden: 0,
    abandoned: 0,
    appendRetries: 0,
    connectionsOpened: 0,
    connectionsClosed: zeros(CLOSE_REASONS),
    alertsPublished: 0,
    offlineDropped: 0,
    forwardDropped: 0,
    retainedRefused: 0,
    inFlight: 0,
    inFlightBytes: 0,
    heldBytes: 0,
    pausedConnections: 0,
    connections: 0,
    remembered: 0,
    offlineBytes: 0,
    retainedBytes: 0,
  };
}

type CounterKey = {
  [K in keyof GatewayStats]: GatewayStats[K] extends number ? K : never;
}[keyof GatewayStats];

const COUNTERS: readonly [name: string, key: CounterKey, help: string][] = [
  ["messages_total", "messages", "MQTT messages on topics of devices"],
  ["dup_flagged_total", "dupFlagged", "Messages on topics of devices that carried the DUP flag"],
  ["received_total", "received", "Items received: single readings and elements of batches"],
  ["readings_total", "readings", "Items durable as readings"],
  ["refused_total", "refused", "Items neither durable nor acked"],
  ["passthrough_total", "passthrough", "Messages on other topics"],
  ["forbidden_total", "forbidden", "Messages on topics reserved for the gateway, acked and dropped"],
  ["abandoned_total", "abandoned", "PUBLISH packets of connections that ended before they were admitted"],
  ["append_retries_total", "appendRetries", "Appends to the log tried again"],
  ["connections_opened_total", "connectionsOpened", "Connections accepted"],
  ["alerts_published_total", "alertsPublished", "Alerts published over MQTT"],
  ["offline_dropped_total", "offlineDropped", "Messages not kept for a subscriber that is away"],
  ["forward_dropped_total", "forwardDropped", "Messages kept back from subscribers that lag"],
  ["retained_refused_total", "retainedRefused", "Retained messages not kept"],
];

const GAUGES: readonly [name: string, key: CounterKey, help: string][] = [
  ["inflight_messages", "inFlight", "PUBLISH packets admitted and not yet acked"],
  ["inflight_bytes", "inFlightBytes", "Bytes of PUBLISH packets admitted and not yet acked"],
  ["held_bytes", "heldBytes", "Bytes read ahead of full windows"],
  ["paused_connections", "pausedConnections", "Connections not read from because of back-pressure"],
  ["connections", "connections", "Open connections"],
  ["offline_bytes", "offlineBytes", "Bytes kept for subscribers that are away"],
  ["retained_bytes", "retainedBytes", "Bytes of retained messages"],
  ["remembered_messages", "remembered", "Messages remembered to know their re-sends"],
];

/** Registers the metrics `sluice_gateway_*`; they read `stats` when they are scraped. */
export function registerMetrics(registry: Registry, stats: () => GatewayStats): { ackSeconds: Histogram } {
  for (const [name, key, help] of COUNTERS) register(registry, Counter, name, help, () => stats()[key]);
  for (const [name, key, help] of GAUGES) register(registry, Gauge, name, help, () => stats()[key]);
  labelled(
    registry,
    "invalid_total",
    "Items durable as dead letters",
    "reason",
    () => stats().invalidByReason,
  );
  labelled(registry, "qos_messages_total", "Messages on topics of devices by QoS", "qos", () => {
    const { qos0, qos1, qos2 } = stats();
    return { 0: qos0, 1: qos1, 2: qos2 };
  });
  labelled(registry, "connections_closed_total", "Connections the gateway closed", "reason", () => {
    return stats().connectionsClosed;
  });
  const ackSeconds = new Histogram({
    name: "sluice_gateway_publish_ack_seconds",
    help: "From the arrival of a message to its durability, in order with the client's earlier ones",
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [registry],
  });
  return { ackSeconds };
}

function register(
  registry: Registry,
  Metric: typeof Counter | typeof Gauge,
  name: string,
  help: string,
  value: () => number,
): void {
  new Metric({
    name: `sluice_gateway_${name}`,
    help,
    registers: [registry],
    collect() {
      this.reset();
      this.inc(value());
    },
  });
}

function labelled(
  registry: Registry,
  name: string,
  help: string,
  label: string,
  values: () => Record<string, number>,
): void {
  new Counter({
    name: `sluice_gateway_${name}`,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      this.reset();
      for (const [key, value] of Object.entries(values())) this.inc({ [label]: key }, value);
    },
  });
}

function zeros<K extends string>(keys: readonly K[]): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;
}
