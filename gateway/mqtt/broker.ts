/**
 * The MQTT broker (Aedes) with its acks in our hands: the only module that knows Aedes.
 *
 * Guarantees: a PUBLISH on a topic of a device is acked (PUBACK, PUBREC) when its records are durable and all earlier
 * PUBLISH packets of its connection are acked (INV-1); if they never become durable the connection is closed without an ack.
 *
 * The gate for that is Aedes' `authorizePublish`: it runs before the PUBACK, and for QoS 2 before Aedes looks whether
 * it knows the packet id. So every QoS 2 packet that comes in is made durable before its PUBREC, a re-send too; its
 * repeat in the log has the identity of the first and counts once (INV-3).
 */
import type { EventEmitter } from "node:events";
import { Aedes, type AedesPublishPacket, type Client, type PublishPacket } from "aedes";
import type { Clock } from "../../contracts/ports/clock.js";
import type { Logger } from "../../runtime/logger.js";
import type { Histogram } from "../../runtime/metrics.js";
import type { Bridge } from "../bridge/bridge.js";
import type { Settled } from "../bridge/lane.js";
import type { Admitted, Admitter, Inbound } from "../ingest/admit.js";
import type { Route } from "../ingest/route.js";
import type { ConnectionLimits } from "../limits.js";
import type { GatewayStats } from "../stats.js";
import { boundPersistence, type Persistence } from "./bounded-persistence.js";
import { isTopicName } from "./packets.js";
import { Pipe } from "./pipe.js";

export interface BrokerOptions {
  admitter: Admitter;
  bridge: Bridge;
  route: (topic: string) => Route;
  clock: Clock;
  logger: Logger;
  limits: ConnectionLimits;
  stats: GatewayStats;
  ackSeconds: Histogram;
}

type Done = (error?: Error | null) => void;

export class Broker {
  readonly #options: BrokerOptions;
  readonly #aedes: Aedes;

  /** Starts the broker; it takes connections through {@link attach}. */
  static async start(options: BrokerOptions): Promise<Broker> {
    const broker = new Broker(options);
    await broker.#aedes.listen();
    // Not in the types of Aedes, but documented: the store it made for itself.
    const { persistence } = broker.#aedes as unknown as { persistence: Persistence };
    boundPersistence(persistence, options.limits, options.stats);
    return broker;
  }

  private constructor(options: BrokerOptions) {
    this.#options = options;
    this.#aedes = new Aedes({
      // The gate watches keep-alive and the time to connect, for it knows when it does not read.
      connectTimeout: 2 * options.limits.connectTimeoutMs,
      drainTimeout: options.limits.drainTimeoutMs,
      // All packet ids: a device may send a long backlog at QoS 2 before its first PUBREL.
      maxInflightInbound: 65_535,
      preConnect: (client, packet, done) => this.#preConnect(client, packet, done),
      authorizePublish: (client, packet, done) => this.#publish(client, packet, done),
      authorizeForward: (client, packet) => this.#forward(client, packet),
    });
    this.#aedes.on("clientReady", (client) => gateOf(client)?.opened());
    for (const event of ["clientError", "connectionError"] as const) {
      this.#aedes.on(event, (client, error) => {
        options.logger.debug({ err: error, clientId: client.id }, "the broker closed a connection");
        gateOf(client)?.close("broker_error");
      });
    }
    const emitter: EventEmitter = this.#aedes;
    emitter.on("error", (error: unknown) => options.logger.error({ err: error }, "broker error"));
  }

  /** Takes a connection over; its first packet is a CONNECT. */
  attach(pipe: Pipe): void {
    this.#aedes.handle(pipe);
  }

  /** Publishes to the subscribers. Resolves when each has it, or has it queued. */
  publish(topic: string, payload: Buffer, options: { qos: 0 | 1 | 2; retain: boolean }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#aedes.publish({ cmd: "publish", topic, payload, dup: false, ...options }, (error) =>
        error ? reject(error) : resolve(),
      );
    });
  }

  /** Closes every connection; the wills of the clients go out. */
  close(): Promise<void> {
    return new Promise((resolve) => this.#aedes.close(() => resolve()));
  }

  /** Refuses what Aedes would let in and choke on later; takes the keep-alive away from it. */
  #preConnect(
    client: Client,
    packet: { clientId: string; keepalive?: number; will?: { topic: string } },
    done: (error: Error | null, success: boolean) => void,
  ): void {
    const gate = gateOf(client);
    const badWill = packet.will !== undefined && !isTopicName(packet.will.topic);
    const badId = packet.clientId.includes("\0") || packet.clientId.includes("\ufffd");
    if (badWill || badId) {
      gate?.close(badWill ? "bad_will" : "malformed");
      done(new Error("CONNECT is malformed"), false);
      return;
    }
    if (gate !== undefined) gate.keepaliveSeconds = packet.keepalive ?? 0;
    packet.keepalive = 0;
    done(null, true);
  }

  /** Aedes' hook before the ack. It calls `done` at most once, and only when the ack may go. */
  #publish(client: Client | null, packet: PublishPacket, done: Done): void {
    // A will has no `cmd` and comes from the broker, not through the gate; its client may be gone.
    const gate = client !== null && packet.cmd === "publish" ? gateOf(client) : undefined;
    const sizeBytes = gate?.take();
    if (gate !== undefined && sizeBytes === undefined) return;
    const message = this.#message(client, packet);
    const where = this.#options.route(message.topic);
    if (client === null || gate === undefined || sizeBytes === undefined) {
      this.#ingest(where, message, packet, (error) => {
        done(where.kind === "forbidden" ? new Error("topic is reserved") : error);
      });
      return;
    }
    const startedMs = this.#options.clock.monotonicMs();
    let failed = false;
    const held = gate.acks.add(message.qos, message.messageId, () => {
      if (!failed) {
        this.#options.ackSeconds.observe((this.#options.clock.monotonicMs() - startedMs) / 1_000);
        this.#release(client, packet, done);
      }
      gate.release(sizeBytes);
    });
    this.#ingest(where, message, packet, (error) => {
      if (error !== undefined) {
        failed = true;
        gate.close("not_durable");
      }
      gate.acks.settle(held);
    });
  }

  /**
   * Aedes' hook before a message goes to a subscriber; null keeps it back. Aedes would make the publishers wait for a
   * subscriber that does not read: one of those could stall all ingest. A session that starts, and what is
   * retained, come at the subscriber's pace anyway; a persistent session that lags is ended and finds its messages when it is back.
   */
  #forward(client: Client, packet: AedesPublishPacket): AedesPublishPacket | null {
    const gate = gateOf(client);
    if (!gate?.lagging || client.connecting || packet.retain) return packet;
    if (client.clean) {
      this.#options.stats.forwardDropped++;
      return null;
    }
    // Not null: Aedes would take the message out of the session's queue.
    gate.close("slow_subscriber");
    return packet;
  }

  #message(client: Client | null, packet: PublishPacket): Inbound {
    const message: Inbound = {
      topic: packet.topic,
      payload: Buffer.isBuffer(packet.payload) ? packet.payload : Buffer.from(packet.payload),
      qos: packet.qos as 0 | 1 | 2,
      dup: packet.dup === true,
      ingestTs: this.#options.clock.now(),
    };
    const clientId = client?.id ?? (packet as { clientId?: string }).clientId;
    if (typeof clientId === "string") message.clientId = clientId;
    if (packet.messageId !== undefined) message.messageId = packet.messageId;
    return message;
  }

  /** Settles when the message is where it belongs, or with why it cannot be. */
  #ingest(where: Route, message: Inbound, packet: PublishPacket, settled: Settled): void {
    const { stats } = this.#options;
    if (where.kind === "forbidden") {
      stats.forbidden++;
      this.#divert(packet);
      settled();
    } else if (where.kind === "passthrough") {
      stats.passthrough++;
      settled();
    } else {
      this.#deliver(message, this.#admit(where, message), settled);
    }
  }

  #admit(where: Route & { kind: "ingest" | "rejected" }, message: Inbound): Admitted {
    const { admitter } = this.#options;
    return where.kind === "ingest"
      ? admitter.admit(message, where.deviceId)
      : admitter.reject(message, where.rejection);
  }

  #deliver(message: Inbound, admitted: Admitted, settled: Settled): void {
    const { stats, bridge } = this.#options;
    // What waits for the log is kept small: counts, not the records themselves.
    const readings = admitted.readings.length;
    const reasons = admitted.deadLetters.map((letter) => letter.reason);
    stats.messages++;
    stats.received += readings + reasons.length;
    stats[QOS_KEYS[message.qos]]++;
    if (message.dup) stats.dupFlagged++;
    bridge.deliver(admitted, (error) => {
      if (error !== undefined) stats.refused += readings + reasons.length;
      else {
        stats.readings += readings;
        stats.invalid += reasons.length;
        for (const reason of reasons) stats.invalidByReason[reason]++;
      }
      settled(error);
    });
  }

  /** Aedes has no way to ack and not publish: the message goes, emptied, where nobody can listen. */
  #divert(packet: PublishPacket): void {
    packet.topic = `$SYS/${this.#aedes.id}/forbidden`;
    packet.payload = Buffer.alloc(0);
    packet.retain = false;
  }

  /**
   * Lets Aedes ack and publish. A client that left meanwhile gets no ack, and Aedes would then not publish at QoS 1
   * what the log has: its subscribers get it from here.
   */
  #release(client: Client, packet: PublishPacket, done: Done): void {
    const gone = client.closed || gateOf(client)?.closed === true;
    if (!gone || packet.qos === 0) done();
    else if (packet.qos === 1) this.#aedes.publish(packet, () => undefined);
  }
}

const QOS_KEYS = { 0: "qos0", 1: "qos1", 2: "qos2" } as const;

function gateOf(client: Client) {
  return client.conn instanceof Pipe ? client.conn.gate : undefined;
}
