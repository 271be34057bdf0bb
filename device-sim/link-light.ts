/**
 * A link on a bare socket, for fleets of many thousands: a fraction of the memory and work of a full MQTT client.
 *
 * Speaks what a publishing device needs of MQTT 3.1.1: CONNECT, PUBLISH at QoS 0, 1 and 2, PINGREQ, DISCONNECT. Any
 * other answer than the standard allows ends the link with an error.
 */
import { isIP, connect as netConnect, type Socket } from "node:net";
import { connect as tlsConnect } from "node:tls";
import {
  connectFrame,
  DISCONNECT,
  PACKET,
  type Packet,
  Packets,
  PINGREQ,
  publishFrame,
  pubrelFrame,
} from "./frames.js";
import type { Link, LinkEvents, LinkOptions, Settled } from "./link.js";

const MAX_PACKET_ID = 65_535;
const DEFAULT_PORTS: Record<string, number> = { "mqtt:": 1883, "mqtts:": 8883 };

export function openLightLink(options: LinkOptions, events: LinkEvents): Link {
  return new LightLink(options, events);
}

class LightLink implements Link {
  readonly #events: LinkEvents;
  readonly #socket: Socket;
  readonly #packets = new Packets();
  /** By packet id: who waits for the ack. */
  readonly #waiting = new Map<number, Settled>();
  #lastId = 0;
  #up = false;
  /** A PINGREQ went out, and nothing has come since. */
  #pinged = false;
  #corked = false;
  /** Until CONNACK the limit on connecting, from then on the keep-alive. */
  #timer: NodeJS.Timeout;

  constructor(options: LinkOptions, events: LinkEvents) {
    this.#events = events;
    const url = new URL(options.url);
    const socket = openSocket(url, options.sourceAddress);
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#fail("no CONNACK in time"), options.connectTimeoutMs);
    const { clientId, keepaliveS } = options;
    const username = url.username === "" ? undefined : decodeURIComponent(url.username);
    const password = url.password === "" ? undefined : decodeURIComponent(url.password);
    socket.once(url.protocol === "mqtts:" ? "secureConnect" : "connect", () => {
      socket.write(
        connectFrame({
          clientId,
          keepaliveS,
          ...(username !== undefined && { username }),
          ...(password !== undefined && { password }),
        }),
      );
    });
    socket.on("data", (chunk) => this.#received(chunk, keepaliveS));
    socket.on("error", (error) => events.error(error));
    socket.once("close", () => {
      clearTimeout(this.#timer);
      events.down();
    });
  }

  publish(topic: string, payload: Buffer, qos: 0 | 1 | 2, settled: Settled): void {
    if (qos === 0) {
      this.#write(publishFrame(topic, payload, qos, 0), settled);
      return;
    }
    const id = this.#freeId();
    this.#waiting.set(id, settled);
    this.#write(publishFrame(topic, payload, qos, id));
  }

  end(force: boolean): void {
    if (force) this.destroy();
    else this.#socket.end(DISCONNECT);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #received(chunk: Buffer, keepaliveS: number): void {
    this.#pinged = false;
    try {
      for (const packet of this.#packets.push(chunk)) this.#handle(packet, keepaliveS);
    } catch (error) {
      this.#fail((error as Error).message);
    }
  }

  #handle({ type, body }: Packet, keepaliveS: number): void {
    if (type === PACKET.connack && !this.#up) {
      if (body[1] !== 0) throw new Error(`connection refused: code ${body[1]}`);
      this.#up = true;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#ping(), keepaliveS * 1_000);
      this.#events.up();
    } else if (type === PACKET.puback || type === PACKET.pubcomp) {
      this.#settle(body.readUInt16BE(0));
    } else if (type === PACKET.pubrec) {
      this.#write(pubrelFrame(body.readUInt16BE(0)));
    } else if (type !== PACKET.pingresp) {
      throw new Error(`an unexpected packet of type ${type}`);
    }
  }

  #settle(id: number): void {
    const settled = this.#waiting.get(id);
    if (!settled) throw new Error(`an ack for packet ${id}, which is not in flight`);
    this.#waiting.delete(id);
    settled();
  }

  #freeId(): number {
    do {
      this.#lastId = (this.#lastId % MAX_PACKET_ID) + 1;
    } while (this.#waiting.has(this.#lastId));
    return this.#lastId;
  }

  /** One system call for all packets of an event-loop turn. */
  #write(frame: Buffer, written?: Settled): void {
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(frame, written);
    this.#timer.refresh();
  }

  /** Nothing was sent for the keep-alive time (3.1.2.10). */
  #ping(): void {
    if (this.#pinged) {
      this.#fail("no PINGRESP in time");
      return;
    }
    this.#write(PINGREQ);
    this.#pinged = true;
  }

  #fail(why: string): void {
    this.#socket.destroy(new Error(why));
  }
}

function openSocket(url: URL, sourceAddress: string | undefined): Socket {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? DEFAULT_PORTS[url.protocol]! : Number(url.port);
  const target = { host, port, ...(sourceAddress !== undefined && { localAddress: sourceAddress }) };
  // Small packets must not wait for the ack of the one before (Nagle).
  const socket =
    url.protocol === "mqtts:"
      ? tlsConnect({ ...target, ...(isIP(host) === 0 && { servername: host }) })
      : netConnect(target);
  return socket.setNoDelay(true);
}
