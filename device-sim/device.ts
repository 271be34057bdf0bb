/**
 * One simulated device: runs its script over one MQTT connection, as a store-and-forward device does.
 *
 * Guarantees: at most `window` messages are in flight; whatever is not acked stays in the device's own outbox and is
 * sent again, the same bytes in the same order, on the next connection. The client library decides nothing of this:
 * each connection is a new {@link Link}, so nothing of one connection can leak into the next and every send on the
 * wire is in the ledger.
 */
import type { Clock } from "../contracts/ports/clock.js";
import type { Link, OpenLink } from "./link.js";
import type { Random } from "./random.js";
import type { Recorder } from "./recorder.js";
import { LABELS, type PlannedMessage } from "./script.js";

/** What a device needs from its fleet. */
export interface DeviceOptions {
  id: string;
  index: number;
  url: string;
  openLink: OpenLink;
  /** Local address to connect from; the system chooses when undefined. */
  sourceAddress: string | undefined;
  qos: 0 | 1 | 2;
  window: number;
  script: Iterator<PlannedMessage, void>;
  /** Open loop: messages have a time. Otherwise the window sets the pace, and each is due when it is sent. */
  paced: boolean;
  recorder: Recorder;
  clock: Clock;
  /** Jitter of the reconnect delay. */
  random: Random;
  /** Milliseconds since the start of the run. */
  elapsedMs: () => number;
  /** Told when the next new message is due, in milliseconds since the start of the run; infinity: there is none. */
  schedule: (dueMs: number) => void;
  /** Told of every failed or lost connection, deliberate cuts included. */
  onError: (error: Error) => void;
}

/** A message that was sent and not acked yet. `copy`: a deliberate duplicate of an acked one. */
interface Pending {
  n: number;
  message: PlannedMessage;
  copy: boolean;
}

const MIN_RECONNECT_MS = 100;
const MAX_RECONNECT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 30_000;
const KEEPALIVE_S = 30;
const CLOSE_TIMEOUT_MS = 2_000;

export class Device {
  readonly #options: DeviceOptions;
  /** Unacked messages, in the order of their first send. */
  readonly #outbox = new Set<Pending>();
  /** What of the outbox has to be sent (again). */
  #resend: Pending[] = [];
  #next: PlannedMessage | undefined;
  #inFlight = 0;
  #link: Link | undefined;
  #connected = false;
  /** Number of the connection: callbacks of an earlier one are void. */
  #generation = 0;
  #failures = 0;
  /** The next reconnect does not wait: everybody's does not. */
  #atOnce = false;
  readonly #closing = new AbortController();
  #closed: (() => void) | undefined;

  constructor(options: DeviceOptions) {
    this.#options = options;
    this.#advance();
  }

  get connected(): boolean {
    return this.#connected;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** True when the whole script was sent and acked. */
  get finished(): boolean {
    return this.#next === undefined && this.#outbox.size === 0;
  }

  /** Connects, and keeps connecting until {@link close}. */
  start(): void {
    const generation = ++this.#generation;
    const { url, id: clientId, sourceAddress, openLink, onError } = this.#options;
    this.#link = openLink(
      {
        ...{ url, clientId, connectTimeoutMs: CONNECT_TIMEOUT_MS, keepaliveS: KEEPALIVE_S },
        ...(sourceAddress !== undefined && { sourceAddress }),
      },
      { up: () => this.#up(generation), error: onError, down: () => this.#down(generation) },
    );
  }

  /** Sends what is due, as far as the window and the connection allow. */
  pump(): void {
    if (!this.#connected || this.#closing.signal.aborted) return;
    const nowMs = this.#options.elapsedMs();
    while (this.#inFlight < this.#options.window) {
      const again = this.#resend.shift();
      if (again) this.#sendAgain(again);
      else if (this.#next && this.#next.dueMs <= nowMs) this.#sendFirst(this.#next, nowMs);
      else return;
    }
  }

  /** Loses the connection, if there is one, and reconnects without delay. */
  drop(): void {
    if (!this.#connected || this.#closing.signal.aborted) return;
    this.#atOnce = true;
    this.#link!.end(true);
  }

  /** Disconnects; with messages in flight the connection is dropped. Resolves when the socket is closed. */
  close(): Promise<void> {
    this.#closing.abort();
    const link = this.#link;
    if (!link) return Promise.resolve();
    return new Promise((resolve) => {
      // A gateway that does not close its side must not keep the fleet from ending.
      const timer = setTimeout(() => link.destroy(), CLOSE_TIMEOUT_MS);
      this.#closed = () => {
        clearTimeout(timer);
        resolve();
      };
      link.end(this.#outbox.size > 0 || !this.#connected);
    });
  }

  #up(generation: number): void {
    if (generation !== this.#generation) return;
    this.#connected = true;
    this.#failures = 0;
    this.pump();
  }

  #down(generation: number): void {
    if (generation !== this.#generation) return;
    const wasConnected = this.#connected;
    this.#generation++;
    this.#link = undefined;
    this.#connected = false;
    this.#inFlight = 0;
    this.#resend = [...this.#outbox];
    if (this.#closing.signal.aborted) {
      this.#closed?.();
      return;
    }
    if (wasConnected) this.#options.onError(new Error("connection lost"));
    if (this.#atOnce) {
      this.#atOnce = false;
      this.start();
      return;
    }
    const delayMs = Math.min(MAX_RECONNECT_MS, MIN_RECONNECT_MS * 2 ** this.#failures++);
    this.#options.clock.sleep(delayMs * (0.5 + this.#options.random.float()), this.#closing.signal).then(
      () => this.start(),
      () => undefined, // closed while waiting: the only way the sleep rejects
    );
  }

  #sendFirst(message: PlannedMessage, nowMs: number): void {
    const { recorder, index, paced } = this.#options;
    const { truth, topic, payload, labels } = message;
    const entry = {
      device: index,
      labels,
      dueMs: paced ? message.dueMs : nowMs,
      sentMs: nowMs,
      truth:
        truth.end === "reading"
          ? { end: "reading" as const, ...truth.reading }
          : { end: "invalid" as const, reason: truth.reason, topic, payload },
    };
    const pending: Pending = { n: -1, message, copy: false };
    const generation = this.#generation;
    pending.n = recorder.firstSend(entry, () => this.#transmit(pending, generation));
    this.#outbox.add(pending);
    this.#inFlight++;
    this.#advance();
  }

  #sendAgain(pending: Pending): void {
    const generation = this.#generation;
    this.#options.recorder.resend(pending.n, () => this.#transmit(pending, generation));
    this.#inFlight++;
  }

  #transmit(pending: Pending, generation: number): void {
    const link = this.#link;
    // Lost since it was recorded: it is in the outbox, and goes out on the next connection.
    if (generation !== this.#generation || !link || this.#closing.signal.aborted) return;
    const { topic, payload, labels } = pending.message;
    link.publish(topic, payload, this.#options.qos, (error) => this.#settled(pending, generation, error));
    if (labels & LABELS.cut && !pending.copy && this.#options.recorder.ledger.sends(pending.n) === 1) {
      setImmediate(() => link.end(true));
    }
  }

  #settled(pending: Pending, generation: number, error: Error | undefined | null): void {
    if (generation !== this.#generation) return;
    if (error) {
      // Most often the connection is going away and takes its messages with it; if not, end it: a message that was
      // refused has to be sent again.
      this.#link?.end(true);
      return;
    }
    this.#outbox.delete(pending);
    this.#inFlight--;
    // QoS 0 has no ack: the callback says that the bytes were written, which promises nothing.
    if (this.#options.qos > 0) this.#options.recorder.ack(pending.n, this.#options.elapsedMs());
    if (pending.message.labels & LABELS.duplicate && !pending.copy) {
      const copy = { ...pending, copy: true };
      this.#outbox.add(copy);
      this.#resend.push(copy);
    }
    this.pump();
  }

  #advance(): void {
    const step = this.#options.script.next();
    this.#next = step.done ? undefined : step.value;
    this.#options.schedule(this.#next?.dueMs ?? Number.POSITIVE_INFINITY);
  }
}
