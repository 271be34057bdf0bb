/**
 * One connection of a device to the gateway, as the device sees it: what an MQTT client has to do for the simulator,
 * and no more. A link is used once; the device's outbox decides what goes out again on the next one.
 */

export interface LinkOptions {
  /** mqtt:// or mqtts://, with user:password@ where asked for. */
  url: string;
  clientId: string;
  connectTimeoutMs: number;
  keepaliveS: number;
  /** Local address to connect from; the system chooses when undefined. */
  sourceAddress?: string;
}

/** None is called before {@link OpenLink} has returned, and nothing after `down`. */
export interface LinkEvents {
  /** The gateway accepted the connection. */
  up: () => void;
  /** Why the link goes down, when that is known; the link ends itself. */
  error: (error: Error) => void;
  /** The socket is closed: what was not settled never will be. */
  down: () => void;
}

/** Told once: without an error when the message was acked (PUBACK, PUBCOMP), for QoS 0 when it was written. */
export type Settled = (error?: Error | null) => void;

export interface Link {
  publish(topic: string, payload: Buffer, qos: 0 | 1 | 2, settled: Settled): void;
  /** `force`: cut the connection without a DISCONNECT. */
  end(force: boolean): void;
  /** Closes the socket whatever the gateway does. */
  destroy(): void;
}

export type OpenLink = (options: LinkOptions, events: LinkEvents) => Link;
