/**
 * The event stream: what was committed, as server-sent events to any number of clients.
 *
 * Guarantees: memory per client is bounded. A client whose unsent bytes pass `maxBufferedBytes` is told to
 * reconnect, closed and counted; it loses nothing for good, because what it missed is in the store.
 * Every event is encoded once per distinct filter, however many clients there are.
 */
import type { ServerResponse } from "node:http";
import type { Clock } from "../contracts/ports/clock.js";
import type { Rollup } from "../contracts/rollup.js";
import type { Logger } from "../runtime/logger.js";
import { ApiError } from "./errors.js";
import type { LiveEvent, LiveFeed } from "./live-feed.js";
import type { StreamMetrics } from "./metrics.js";
import { toApiDevice } from "./rows.js";
import { SECURE_HEADERS } from "./security.js";

export const STREAM_EVENTS = ["rollups", "alert", "devices", "stats"] as const;
export type StreamEvent = (typeof STREAM_EVENTS)[number];

export interface StreamLimits {
  /** Clients at once; more are refused. */
  maxClients: number;
  /** Unsent bytes a client may have before it counts as slow. */
  maxBufferedBytes: number;
  statsEveryMs: number;
  heartbeatEveryMs: number;
}

export const DEFAULT_STREAM_LIMITS: StreamLimits = {
  maxClients: 256,
  maxBufferedBytes: 4 * 1_048_576,
  statsEveryMs: 1_000,
  heartbeatEveryMs: 15_000,
};

export interface StreamFilter {
  events: ReadonlySet<StreamEvent>;
  /** Rollups of this device only. */
  device?: string | undefined;
}

interface Client {
  response: ServerResponse;
  filter: StreamFilter;
}

/** How long a client may take to read the end of its stream before the socket is cut. */
const END_WITHIN_MS = 1_000;

export class StreamHub {
  readonly #clients = new Set<Client>();
  readonly #leaving = new Set<ServerResponse>();
  readonly #stop = new AbortController();
  readonly #unsubscribe: () => void;
  readonly #ticker: Promise<void>;
  readonly #options: StreamHubOptions;

  constructor(options: StreamHubOptions) {
    this.#options = options;
    this.#unsubscribe = options.live.subscribe((event) => this.#onEvent(event));
    this.#ticker = this.#tick();
  }

  /**
   * Takes over the response until the client leaves.
   * @throws ApiError TOO_MANY_STREAMS, CLOSING
   */
  add(response: ServerResponse, filter: StreamFilter): void {
    const { limits, metrics } = this.#options;
    if (this.#stop.signal.aborted) throw new ApiError(503, "CLOSING", "the gateway is shutting down");
    if (this.#clients.size >= limits.maxClients) {
      throw new ApiError(503, "TOO_MANY_STREAMS", `there are already ${limits.maxClients} stream clients`);
    }
    response.writeHead(200, {
      ...SECURE_HEADERS,
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      // Proxies such as nginx would otherwise hold events back.
      "x-accel-buffering": "no",
      connection: "close",
    });
    const client: Client = { response, filter };
    this.#clients.add(client);
    metrics.clients.set(this.#clients.size);
    response.on("close", () => this.#forget(client));
    response.on("error", (error) => this.#options.logger.debug({ err: error }, "stream client failed"));
    response.write("retry: 2000\n\n");
    if (filter.events.has("stats")) this.#send(client, this.#statsFrame());
  }

  /** Ends every stream, telling clients to come back, and waits until their sockets are closed. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#unsubscribe();
    for (const client of [...this.#clients]) this.#end(client, "closing");
    await this.#ticker;
    await Promise.all(
      [...this.#leaving].map((response) => new Promise<void>((resolve) => response.on("close", resolve))),
    );
  }

  async #tick(): Promise<void> {
    const { clock, limits } = this.#options;
    let sinceHeartbeatMs = 0;
    for (;;) {
      try {
        await clock.sleep(limits.statsEveryMs, this.#stop.signal);
      } catch {
        return; // Only an abort ends the sleep: the hub is closing.
      }
      if (this.#clients.size === 0) continue;
      sinceHeartbeatMs += limits.statsEveryMs;
      this.#guard(() => {
        const frame = this.#statsFrame();
        for (const client of this.#clients) if (client.filter.events.has("stats")) this.#send(client, frame);
      });
      if (sinceHeartbeatMs < limits.heartbeatEveryMs) continue;
      sinceHeartbeatMs = 0;
      const heartbeat = Buffer.from(": heartbeat\n\n");
      for (const client of this.#clients) this.#send(client, heartbeat);
    }
  }

  #onEvent(event: LiveEvent): void {
    if (this.#clients.size === 0) return;
    this.#guard(() => {
      if (event.type === "rollups") this.#broadcastRollups(event.rollups);
      else if (event.type === "alert") this.#broadcast("alert", { alert: event.alert });
      else this.#broadcast("devices", { devices: event.devices.map(toApiDevice) });
    });
  }

  #broadcast(type: StreamEvent, data: unknown): void {
    let frame: Buffer | undefined;
    for (const client of this.#clients) {
      if (!client.filter.events.has(type)) continue;
      frame ??= encode(type, data);
      this.#send(client, frame);
    }
  }

  #broadcastRollups(rollups: readonly Rollup[]): void {
    const frames = new Map<string | undefined, Buffer | undefined>();
    for (const client of this.#clients) {
      if (!client.filter.events.has("rollups")) continue;
      const { device } = client.filter;
      if (!frames.has(device)) {
        const wanted = device === undefined ? rollups : rollups.filter((rollup) => rollup.device === device);
        frames.set(device, wanted.length === 0 ? undefined : encode("rollups", { rollups: wanted }));
      }
      const frame = frames.get(device);
      if (frame !== undefined) this.#send(client, frame);
    }
  }

  #statsFrame(): Buffer {
    return encode("stats", this.#options.stats());
  }

  /** The backlog is looked at before the write, so that one large event alone makes nobody slow. */
  #send(client: Client, frame: Buffer): void {
    if (client.response.writableLength <= this.#options.limits.maxBufferedBytes) {
      client.response.write(frame);
      return;
    }
    this.#options.metrics.slow.inc();
    this.#end(client, "slow");
  }

  #end(client: Client, reason: "slow" | "closing"): void {
    const { response } = client;
    this.#clients.delete(client);
    this.#options.metrics.clients.set(this.#clients.size);
    if (response.destroyed) return;
    this.#leaving.add(response);
    response.end(encode("reconnect", { reason }));
    const cut = setTimeout(() => response.destroy(), END_WITHIN_MS);
    response.on("close", () => {
      clearTimeout(cut);
      this.#leaving.delete(response);
    });
  }

  #forget(client: Client): void {
    this.#clients.delete(client);
    this.#options.metrics.clients.set(this.#clients.size);
  }

  /** A watcher's trouble must never reach the commit that published. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#options.logger.error({ err: error }, "could not send to the event stream");
    }
  }
}

export interface StreamHubOptions {
  live: LiveFeed;
  /** The data of the `stats` event. */
  stats: () => Record<string, unknown>;
  clock: Clock;
  logger: Logger;
  metrics: StreamMetrics;
  limits: StreamLimits;
}

/** JSON has no raw line break, so one `data:` line is enough. */
function encode(type: string, data: unknown): Buffer {
  return Buffer.from(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
}
