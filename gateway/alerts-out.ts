/**
 * Publishes the alerts of the log over MQTT, on `alerts/{deviceId}`.
 *
 * At least once: an alert is published before its offset is committed. A new group starts at the end of the topic:
 * nobody wants to be woken by last year's alerts.
 */
import { SluiceError } from "../contracts/errors.js";
import type { Clock } from "../contracts/ports/clock.js";
import type { Log, LogRecord, PartitionHandler, Subscription } from "../contracts/ports/log.js";
import { isName } from "../contracts/reading.js";
import { TOPICS } from "../contracts/topics.js";
import type { Logger } from "../runtime/logger.js";
import { retry } from "../runtime/retry.js";

const GROUP = "sluice-mqtt-alerts";

export interface AlertsOutOptions {
  log: Log;
  clock: Clock;
  logger: Logger;
  publish: (topic: string, payload: Buffer) => Promise<void>;
  /** Told for each alert published. */
  onPublished: () => void;
}

export class AlertsOut {
  readonly #options: AlertsOutOptions;
  readonly #abort = new AbortController();
  #subscription: Subscription | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: AlertsOutOptions) {
    this.#options = options;
  }

  /** Subscribes, and again whenever the subscription ends by itself. Does not wait for the log. */
  start(): void {
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#subscription?.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#options;
    const { signal } = this.#abort;
    try {
      await retry(() => this.#tail(), {
        clock,
        signal,
        retryable: () => !signal.aborted,
        onRetry: (error, attempt, delayMs) =>
          logger.warn({ err: error, attempt, delayMs }, "alerts are not published for now"),
      });
    } catch (error) {
      if (!signal.aborted) logger.error({ err: error }, "alerts are not published any more");
    }
  }

  async #tail(): Promise<void> {
    const { log } = this.#options;
    this.#subscription = await log.subscribe(GROUP, TOPICS.alerts, this.#handler());
    if (this.#abort.signal.aborted) await this.#subscription.close();
    await this.#subscription.done;
    if (!this.#abort.signal.aborted) throw new SluiceError("LOG_UNAVAILABLE", "the alert subscription ended");
  }

  #handler(): PartitionHandler {
    const { log, logger } = this.#options;
    return {
      assigned: async (partition) => {
        const committed = await log.committed(GROUP, TOPICS.alerts, partition);
        if (committed !== undefined) return committed;
        const ranges = await log.ranges(TOPICS.alerts);
        const next = ranges.find((range) => range.partition === partition)?.next ?? 0;
        await log.commit(GROUP, TOPICS.alerts, partition, next);
        return next;
      },
      batch: async (partition, records) => {
        for (const record of records) await this.#publish(record);
        const last = records.at(-1);
        if (last !== undefined) await log.commit(GROUP, TOPICS.alerts, partition, last.offset + 1);
      },
      revoked: async () => undefined,
      fellBehind: (partition, wanted, earliest) =>
        logger.warn(
          { partition, wanted, earliest },
          "alerts were removed by retention before they were published",
        ),
    };
  }

  async #publish(record: LogRecord): Promise<void> {
    const { publish, onPublished, logger } = this.#options;
    const payload = Buffer.from(record.value);
    const device = deviceOf(payload);
    if (device === undefined) {
      logger.error(
        { partition: record.partition, offset: record.offset },
        "a record of the alerts topic is no alert",
      );
      return;
    }
    await publish(`alerts/${device}`, payload);
    onPublished();
  }
}

function deviceOf(payload: Buffer): string | undefined {
  try {
    const { device } = JSON.parse(payload.toString("utf8")) as { device?: unknown };
    return typeof device === "string" && isName(device) ? device : undefined;
  } catch {
    return undefined;
  }
}
