/**
 * Plays messages to a broker in their order, at their own pace or another.
 *
 * Open loop: a message is due when its time comes, whatever the broker does; at most `window` are in flight. What is
 * not acked when the connection is lost goes out again on the next one, the same bytes in the same order.
 */
import type { Clock } from "../contracts/ports/clock.js";
import type { Link } from "./link.js";
import { openMqttJsLink } from "./link-mqttjs.js";
import type { Recorded } from "./recording.js";

export interface PlayOptions {
  url: string;
  source: AsyncIterable<Recorded>;
  /** How many times as fast as it was recorded; infinity: as fast as acks allow. */
  speed: number;
  qos: 0 | 1 | 2;
  /** Messages in flight at most. */
  window: number;
  clock: Clock;
  signal?: AbortSignal;
  onProgress?: (progress: PlayResult) => void;
}

export interface PlayResult {
  /** Distinct messages. */
  sent: number;
  /** Settled: acked, for QoS 0 written. */
  acked: number;
  /** Sends after a lost connection. */
  resent: number;
}

const RECONNECT_MS = 500;
const CONNECT_TIMEOUT_MS = 30_000;
const KEEPALIVE_S = 30;
const PROGRESS_MS = 1_000;

/** Plays until every message is acked or the signal aborts; keeps connecting for as long as that takes. */
export async function play(options: PlayOptions): Promise<PlayResult> {
  const { source, speed, clock, signal, onProgress } = options;
  const player = new Player(options);
  try {
    const beganMs = clock.monotonicMs();
    let shownMs = 0;
    for await (const message of source) {
      await pause(clock, beganMs + message.atMs / speed - clock.monotonicMs(), signal);
      await player.room();
      if (signal?.aborted) break;
      player.send(message);
      if (clock.monotonicMs() - shownMs < PROGRESS_MS) continue;
      shownMs = clock.monotonicMs();
      onProgress?.(player.result);
    }
    await player.settled();
  } finally {
    await player.close();
  }
  return player.result;
}

/** Ends early, without an error, when the signal aborts. */
async function pause(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (ms > 0) await clock.sleep(ms, signal).catch(() => undefined);
}

class Player {
  readonly result: PlayResult = { sent: 0, acked: 0, resent: 0 };
  readonly #options: PlayOptions;
  /** Not acked yet, in their order, and whether they were ever on the wire. */
  readonly #outbox = new Map<Recorded, { published: boolean }>();
  #link: Link | undefined;
  #connected = false;
  #closing = false;
  /** Waits for an ack, or the end. */
  #wake: (() => void) | undefined;
  #down: (() => void) | undefined;

  constructor(options: PlayOptions) {
    this.#options = options;
    options.signal?.addEventListener("abort", () => this.#wake?.(), { once: true });
    this.#open();
  }

  /** Waits until the window has room. */
  async room(): Promise<void> {
    await this.#until(() => this.#outbox.size < this.#options.window);
  }

  /** Waits until everything is acked. */
  async settled(): Promise<void> {
    await this.#until(() => this.#outbox.size === 0);
  }

  send(message: Recorded): void {
    this.result.sent++;
    this.#outbox.set(message, { published: false });
    if (this.#connected) this.#publish(message);
  }

  async close(): Promise<void> {
    this.#closing = true;
    const link = this.#link;
    if (!link) return;
    await new Promise<void>((resolve) => {
      this.#down = resolve;
      link.end(this.#outbox.size > 0 || !this.#connected);
    });
  }

  async #until(reached: () => boolean): Promise<void> {
    while (!reached() && !this.#options.signal?.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #open(): void {
    const { url, clock } = this.#options;
    const clientId = `sluice-play-${process.pid}-${Math.floor(clock.now()).toString(36)}`;
    this.#link = openMqttJsLink(
      { url, clientId, connectTimeoutMs: CONNECT_TIMEOUT_MS, keepaliveS: KEEPALIVE_S },
      {
        up: () => {
          this.#connected = true;
          for (const message of [...this.#outbox.keys()]) this.#publish(message);
        },
        error: () => {}, // the link goes down, and that is where it is dealt with
        down: () => this.#lost(),
      },
    );
  }

  #lost(): void {
    this.#link = undefined;
    this.#connected = false;
    if (this.#closing) {
      this.#down?.();
      return;
    }
    const { clock, signal } = this.#options;
    pause(clock, RECONNECT_MS, signal).then(() => {
      if (!this.#closing) this.#open();
    });
  }

  #publish(message: Recorded): void {
    const link = this.#link!;
    const state = this.#outbox.get(message)!;
    if (state.published) this.result.resent++;
    state.published = true;
    link.publish(message.topic, message.payload, this.#options.qos, (error) => {
      if (error) link.end(true);
      else if (this.#outbox.delete(message)) this.result.acked++;
      this.#wake?.();
    });
  }
}
