/**
 * The TCP listener: accepts connections, gives each a {@link Gate}, sweeps them once a second, and closes gracefully.
 */
import { createServer, type Server, type Socket } from "node:net";
import { SluiceError } from "../../contracts/errors.js";
import type { Clock } from "../../contracts/ports/clock.js";
import type { Logger } from "../../runtime/logger.js";
import { within } from "../within.js";
import { Gate, type GateShared, LINGER_MS } from "./gate.js";

export interface ServerOptions extends Omit<GateShared, "onClosed"> {
  host: string;
  /** 0 picks a free one. */
  port: number;
  logger: Logger;
  clock: Clock;
}

const SWEEP_MS = 1_000;

export class MqttServer {
  readonly #options: ServerOptions;
  readonly #server: Server;
  readonly #gates = new Set<Gate>();
  readonly #abort = new AbortController();
  #sweeping: Promise<void> = Promise.resolve();
  /** Resolves when the listener and all its connections are closed. */
  #closed: Promise<void> | undefined;

  constructor(options: ServerOptions) {
    this.#options = options;
    // Half-open: a client that has only shut its sending side still gets its acks.
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  get connections(): number {
    return this.#gates.size;
  }

  /** @returns the port. @throws SluiceError LISTEN_FAILED */
  listen(): Promise<number> {
    const { host, port, logger } = this.#options;
    return new Promise((resolve, reject) => {
      const failed = (error: Error) =>
        reject(new SluiceError("LISTEN_FAILED", `cannot listen on ${host}:${port}`, { cause: error }));
      this.#server.once("error", failed);
      this.#server.listen({ host, port, backlog: 4_096 }, () => {
        this.#server.off("error", failed);
        this.#server.on("error", (error) => logger.error({ err: error }, "the MQTT listener failed"));
        this.#sweeping = this.#sweep();
        resolve((this.#server.address() as { port: number }).port);
      });
    });
  }

  /** No new connections, and no new packets from those there are. Acks still go out. */
  stopReading(): void {
    this.#closed ??= new Promise((resolve) => this.#server.close(() => resolve()));
    for (const gate of this.#gates) gate.stopReading();
  }

  /** Resolves when all acks the broker has written are with the kernel. */
  async flushed(): Promise<void> {
    await Promise.all([...this.#gates].map((gate) => gate.flushed()));
  }

  /** Closes what is still open. */
  async close(): Promise<void> {
    this.stopReading();
    for (const gate of this.#gates) gate.close("shutdown");
    await within(this.#options.clock, LINGER_MS, this.#closed!);
    for (const gate of this.#gates) gate.destroy();
    this.#abort.abort();
    await Promise.all([this.#closed, this.#sweeping]);
  }

  #accept(socket: Socket): void {
    const { limits, stats } = this.#options;
    if (this.#gates.size >= limits.maxConnections) {
      stats.connectionsClosed.too_many_connections++;
      socket.on("error", () => undefined);
      socket.destroy();
      return;
    }
    stats.connectionsOpened++;
    const gate = new Gate(socket, {
      ...this.#options,
      onClosed: (closed, reason) => this.#forget(closed, reason),
    });
    this.#gates.add(gate);
  }

  #forget(gate: Gate, reason: string | undefined): void {
    this.#gates.delete(gate);
    if (reason !== undefined) this.#options.logger.debug({ reason }, "closed a connection");
  }

  /** One timer for all connections. */
  async #sweep(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#abort.signal.aborted) {
      await clock.sleep(SWEEP_MS, this.#abort.signal).catch(() => undefined);
      const nowMs = clock.monotonicMs();
      for (const gate of this.#gates) gate.sweep(nowMs);
    }
  }
}
