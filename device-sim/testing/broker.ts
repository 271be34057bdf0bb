/**
 * A real broker for the tests of a fleet.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { Aedes } from "aedes";
import { systemClock } from "../../runtime/clock.js";

const LIMIT_MS = 60_000;

export interface Publish {
  topic: string;
  payload: string;
}

/** A real broker that notes every publish before it acks it. */
export class Broker {
  readonly seen: Publish[] = [];
  /** Asked after a publish was noted: false leaves it without an ack. */
  mayAck: (count: number) => boolean = () => true;
  port = 0;
  #server: Server | undefined;
  #aedes: Aedes | undefined;
  readonly #sockets = new Set<Socket>();

  async start(): Promise<void> {
    const aedes = await Aedes.createBroker();
    aedes.authorizePublish = (_client, { topic, payload }, done) => {
      this.seen.push({ topic, payload: payload.toString("base64") });
      if (this.mayAck(this.seen.length)) done(null);
    };
    this.#aedes = aedes;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      aedes.handle(socket);
    });
    this.#server.listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = (this.#server.address() as { port: number }).port;
  }

  /** As a crash looks from outside: every socket dies at once. */
  async crash(): Promise<void> {
    const closed = once(this.#server!, "close");
    this.#server!.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    await new Promise<void>((resolve) => this.#aedes!.close(() => resolve()));
  }

  /** Waits until so many publishes were noted. */
  async saw(count: number): Promise<void> {
    const began = systemClock.monotonicMs();
    while (this.seen.length < count) {
      assert.ok(
        systemClock.monotonicMs() - began < LIMIT_MS,
        `only ${this.seen.length} of ${count} publishes came`,
      );
      await systemClock.sleep(1);
    }
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }
}

/** Runs `work` with a broker that stops afterwards. */
export async function withBroker(work: (broker: Broker) => Promise<void>): Promise<void> {
  const broker = new Broker();
  await broker.start();
  try {
    await work(broker);
  } finally {
    await broker.crash();
  }
}
