/**
 * A raw MQTT client for tests: writes exactly the bytes it is told to, and collects the packets that come back.
 */
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { generate, type Packet, parser } from "mqtt-packet";

export class RawClient {
  readonly socket: Socket;
  readonly packets: Packet[] = [];
  closed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    const incoming = parser();
    incoming.on("packet", (packet: Packet) => this.packets.push(packet));
    socket.on("data", (chunk) => incoming.parse(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.closed = true;
    });
  }

  /** A TCP connection, nothing sent yet. */
  static async open(port: number): Promise<RawClient> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", () => resolve());
      socket.once("error", reject);
    });
    return new RawClient(socket);
  }

  /** A connection with the MQTT handshake done. */
  static async connect(port: number, clientId: string, options: object = {}): Promise<RawClient> {
    const client = await RawClient.open(port);
    client.send(connectPacket(clientId, options));
    await until(() => client.acks("connack").length === 1, "CONNACK");
    return client;
  }

  send(...packets: (Packet | Buffer)[]): void {
    this.socket.write(Buffer.concat(packets.map((p) => (Buffer.isBuffer(p) ? p : generate(p)))));
  }

  publish(messageId: number, topic: string, payload: string | Buffer, qos: 0 | 1 | 2 = 1, dup = false): void {
    this.send({ cmd: "publish", topic, payload, qos, dup, retain: false, messageId });
  }

  /** Packet ids (or just zeros, for packets without) of the packets of one type, in order of arrival. */
  acks(cmd: Packet["cmd"]): number[] {
    return this.packets.filter((packet) => packet.cmd === cmd).map((packet) => packet.messageId ?? 0);
  }

  kill(): void {
    this.socket.resetAndDestroy();
  }
}

export function connectPacket(clientId: string, options: object = {}): Packet {
  return {
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 4,
    clean: true,
    keepalive: 0,
    clientId,
    ...options,
  };
}

/** Waits for a condition; generous, because it is not a measurement. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 2_000; tries++) {
    if (condition()) return;
    await delay(5);
  }
  throw new Error(`did not happen: ${what}`);
}
