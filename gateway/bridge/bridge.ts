/**
 * Takes admitted records to the log: readings to `telemetry.readings`, dead letters to `telemetry.invalid`.
 *
 * Guarantees: a delivery settles without error only when all its records are durable (INV-1); records of one
 * message, and messages of one client, keep their order within a topic.
 */
import { SluiceError } from "../../contracts/errors.js";
import type { Clock } from "../../contracts/ports/clock.js";
import type { Log } from "../../contracts/ports/log.js";
import { TOPICS } from "../../contracts/topics.js";
import type { Logger } from "../../runtime/logger.js";
import type { Admitted } from "../ingest/admit.js";
import type { BridgeLimits } from "../limits.js";
import { Lane, type Settled, type Waiter } from "./lane.js";

export interface BridgeOptions {
  log: Log;
  clock: Clock;
  logger: Logger;
  limits: BridgeLimits;
  /** Told each time an append failed and will be tried again. */
  onRetry: () => void;
}

export class Bridge {
  readonly #readings: Lane;
  readonly #deadLetters: Lane;
  readonly #abort = new AbortController();
  readonly #idle: (() => void)[] = [];
  #waiting = 0;

  constructor({ log, clock, logger, limits, onRetry }: BridgeOptions) {
    const lane = (topic: string) =>
      new Lane({
        log,
        topic,
        limits,
        onRefused: (error, records) =>
          logger.error({ err: error, topic, records }, "records are given up; their senders get no ack"),
        retry: {
          clock,
          signal: this.#abort.signal,
          onRetry: (error, attempt, delayMs) => {
            onRetry();
            logger.warn(
              { err: error, topic, attempt, delayMs },
              "the log takes no records; nothing is acked",
            );
          },
        },
      });
    this.#readings = lane(TOPICS.readings);
    this.#deadLetters = lane(TOPICS.invalid);
  }

  /** Messages not settled yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Appends all records of one message, of which there is at least one. `settled` is called later, without an error
   * when they are durable; else with ABORTED when the bridge was closed first, or with what the log refused them with.
   * (A callback, for this is the hot path: the promises of 100,000 messages a second are felt.)
   */
  deliver({ readings, deadLetters }: Admitted, settled: Settled): void {
    if (this.#abort.signal.aborted) {
      setImmediate(() => settled(new SluiceError("ABORTED", "the gateway is closed")));
      return;
    }
    this.#waiting++;
    const waiter: Waiter = {
      remaining: readings.length + deadLetters.length,
      settled: (error) => {
        settled(error);
        this.#settled();
      },
    };
    for (const reading of readings) {
      const value = Buffer.from(JSON.stringify(reading));
      this.#readings.push({ key: reading.deviceId, value, timestamp: reading.ingestTs }, waiter);
    }
    for (const letter of deadLetters) {
      const value = Buffer.from(JSON.stringify(letter));
      const key = letter.deviceId ?? letter.clientId;
      const record = { value, timestamp: letter.ingestTs, ...(key === undefined ? {} : { key }) };
      this.#deadLetters.push(record, waiter);
    }
  }

  /** Resolves when nothing is waiting. */
  idle(): Promise<void> {
    if (this.#waiting === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Gives up retrying: what is not durable by now is rejected with ABORTED. Resolves when all has settled. */
  async close(): Promise<void> {
    this.#abort.abort();
    await this.idle();
  }

  #settled(): void {
    this.#waiting--;
    if (this.#waiting > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
