/**
 * Every bound of the gateway in one place, with its default. What each one does to a device is told in
 * `docs/protocol.md`; each has a metric in `stats.ts`.
 */

/** What one payload may hold. */
export interface PayloadLimits {
  /** Longest payload that is read as JSON; a longer one is the dead letter `too_large`. */
  maxPayloadBytes: number;
  /** Deepest nesting of arrays and objects. At least 3, which is what a batch of readings needs. */
  maxDepth: number;
  /** Most elements of a batch array. */
  maxBatch: number;
  /** Most entries of `values` in one reading, numbers and strings together. */
  maxValues: number;
  /** Longest string value, in Unicode code points. */
  maxStringLength: number;
  /** Earliest `ts` taken for a time, epoch milliseconds. */
  minTsMs: number;
  /** How far `ts` may be ahead of the gateway's clock. */
  maxClockSkewMs: number;
}

/** What connections may use. */
export interface ConnectionLimits {
  /** Open connections, counting those that still have messages to hand over. */
  maxConnections: number;
  /** Time from the TCP connect to the end of the MQTT handshake. */
  connectTimeoutMs: number;
  /** Largest MQTT packet before the handshake is done. */
  maxConnectBytes: number;
  /** Largest MQTT packet afterwards; its header alone closes the connection. */
  maxPacketBytes: number;
  /** PUBLISH packets of one connection that are not yet acked. */
  maxInFlightPerClient: number;
  /** PUBLISH packets of all connections that are not yet acked. */
  maxInFlightMessages: number;
  /** Bytes of those packets. */
  maxInFlightBytes: number;
  /** Bytes read ahead of one connection behind a full window; then its socket is not read. */
  maxHeldBytesPerClient: number;
  /** Bytes read ahead of all connections. */
  maxHeldBytes: number;
  /** A subscriber that takes nothing for so long is disconnected. */
  drainTimeoutMs: number;
  /** QoS 1 and 2 messages kept for one persistent session until it acks them. */
  maxOfflineMessages: number;
  /** Bytes of those messages over all subscribers. */
  maxOfflineBytes: number;
  /** Bytes of retained messages. */
  maxRetainedBytes: number;
}

/** How records go to the log. */
export interface BridgeLimits {
  maxAppendRecords: number;
  maxAppendBytes: number;
  /** Messages without a `ts` remembered, so that a re-send flagged DUP is known for the same reading. */
  maxRememberedMessages: number;
  /** How long `close` waits for messages in flight. */
  closeDeadlineMs: number;
}

export type GatewayLimits = PayloadLimits & ConnectionLimits & BridgeLimits;

export const DEFAULT_LIMITS: GatewayLimits = {
  maxPayloadBytes: 256 * 1024,
  maxDepth: 8,
  maxBatch: 1_000,
  maxValues: 256,
  maxStringLength: 1_024,
  minTsMs: Date.UTC(2000, 0, 1),
  maxClockSkewMs: 5 * 60_000,

  maxConnections: 20_000,
  connectTimeoutMs: 10_000,
  maxConnectBytes: 16 * 1024,
  maxPacketBytes: 1024 * 1024,
  maxInFlightPerClient: 64,
  maxInFlightMessages: 20_000,
  maxInFlightBytes: 64 * 1024 * 1024,
  maxHeldBytesPerClient: 256 * 1024,
  maxHeldBytes: 64 * 1024 * 1024,
  drainTimeoutMs: 10_000,
  maxOfflineMessages: 10_000,
  maxOfflineBytes: 64 * 1024 * 1024,
  maxRetainedBytes: 64 * 1024 * 1024,

  maxAppendRecords: 2_000,
  maxAppendBytes: 512 * 1024,
  maxRememberedMessages: 65_536,
  closeDeadlineMs: 10_000,
};
