/**
 * The live connection: one EventSource, opened again with back-off when it is lost.
 *
 * Changing the device opens the new stream before it closes the old one, so that no event falls between them.
 */
import type { ApiAlert, ApiDevice, ApiStats } from "../../api/schemas.js";
import type { Rollup } from "../../contracts/rollup.js";

export interface StreamHandlers {
  rollups(rollups: Rollup[]): void;
  alert(alert: ApiAlert): void;
  devices(devices: ApiDevice[]): void;
  stats(stats: ApiStats): void;
  /** `fresh`: events may have been missed before, so ask for everything again. */
  opened(fresh: boolean): void;
  lost(retryInMs: number): void;
}

const MIN_DELAY_MS = 500;
const MAX_DELAY_MS = 15_000;
/** Stats come every second: this long without a word means that the connection is dead. */
const SILENCE_MS = 10_000;

export class EventStream {
  readonly #handlers: StreamHandlers;
  #source: EventSource | undefined;
  #opening: EventSource | undefined;
  #device: string | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #fresh = true;

  constructor(handlers: StreamHandlers) {
    this.#handlers = handlers;
  }

  /** Follows the rollups of `device` (of none without it), and always devices, alerts and stats. */
  follow(device: string | undefined): void {
    if (this.#device === device && (this.#source || this.#opening)) return;
    this.#device = device;
    this.#open();
  }

  /** Tries again at once instead of waiting. */
  retryNow(): void {
    if (!this.#source) this.#open();
  }

  #open(): void {
    clearTimeout(this.#retry);
    this.#opening?.close();
    const query =
      this.#device === undefined
        ? "events=alert,devices,stats"
        : `device=${encodeURIComponent(this.#device)}`;
    const source = new EventSource(`/api/v1/stream?${query}`);
    this.#opening = source;
    source.onopen = () => this.#onOpen(source);
    source.onerror = () => this.#onLost(source);
    this.#listen(source);
    this.#watch(source);
  }

  #onOpen(source: EventSource): void {
    if (this.#opening !== source) return;
    this.#source?.close();
    this.#source = source;
    this.#opening = undefined;
    this.#failures = 0;
    const fresh = this.#fresh;
    this.#fresh = false;
    this.#handlers.opened(fresh);
  }

  #listen(source: EventSource): void {
    const on = <T>(name: string, handle: (data: T) => void) =>
      source.addEventListener(name, (event) => {
        if (source !== this.#source && source !== this.#opening) return;
        this.#watch(source);
        handle(JSON.parse((event as MessageEvent<string>).data) as T);
      });
    const { rollups, alert, devices, stats } = this.#handlers;
    on<{ rollups: Rollup[] }>("rollups", (data) => rollups(data.rollups));
    on<{ alert: ApiAlert }>("alert", (data) => alert(data.alert));
    on<{ devices: ApiDevice[] }>("devices", (data) => devices(data.devices));
    on<ApiStats>("stats", stats);
    on("reconnect", () => this.#onLost(source));
  }

  #watch(source: EventSource): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#onLost(source), SILENCE_MS);
  }

  #onLost(source: EventSource): void {
    source.close();
    if (source !== this.#source && source !== this.#opening) return;
    this.#source?.close();
    this.#source = undefined;
    this.#opening = undefined;
    this.#fresh = true;
    clearTimeout(this.#watchdog);
    const capMs = Math.min(MAX_DELAY_MS, MIN_DELAY_MS * 2 ** this.#failures++);
    // Spread, so that many pages do not come back in step after a restart.
    const delayMs = capMs / 2 + (Math.random() * capMs) / 2;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#open(), delayMs);
    this.#handlers.lost(delayMs);
  }
}
