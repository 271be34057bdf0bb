/**
 * The store port over Influx v2 line protocol: InfluxDB 2, or QuestDB. The only place that uses the InfluxDB client.
 *
 * Guarantees: `write` resolves when the server has acknowledged every line, or returned it as rejected. There is no
 * buffer behind it and no retry inside: a failure is STORE_UNAVAILABLE and the caller writes the batch again.
 */
import { InfluxDB } from "@influxdata/influxdb-client";
import { SluiceError } from "../../../contracts/errors.js";
import type { Clock } from "../../../contracts/ports/clock.js";
import type {
  AlertQuery,
  RejectedRow,
  RollupQuery,
  Store,
  StoreBatch,
} from "../../../contracts/ports/store.js";
import type { Logger } from "../../../runtime/logger.js";
import type { Registry } from "../../../runtime/metrics.js";
import { StoreMetrics } from "../metrics.js";
import type { Dialect } from "./dialect.js";
import { fluxDialect } from "./flux.js";
import { rollupMeasurement, toLines } from "./lines.js";
import { questdbDialect } from "./questdb.js";
import { LineWriter } from "./writer.js";

export interface InfluxStoreOptions {
  url: string;
  /** Empty for a server without authentication. */
  token: string;
  org: string;
  bucket: string;
  /** What answers at `url`; default InfluxDB 2. */
  dialect?: "influxdb" | "questdb";
  /** How long a request may stand still. */
  timeoutMs: number;
  logger: Logger;
  clock: Clock;
  registry?: Registry;
}

const DEFAULT_ALERTS = 100;

/** Opens without connecting: `check` says whether the server is there and takes the token. */
export function openInfluxStore(options: InfluxStoreOptions): Store {
  const { url, token, org, bucket, timeoutMs, logger, clock, registry } = options;
  const client = new InfluxDB({ url, timeout: timeoutMs, ...(token !== "" && { token }) });
  const dialect =
    options.dialect === "questdb"
      ? questdbDialect({ url, token, timeoutMs })
      : fluxDialect(client.getQueryApi(org), bucket);
  const writer = new LineWriter(client, org, bucket);
  const store = new InfluxStore({ dialect, writer, metrics: new StoreMetrics(registry), logger, clock });
  logger.debug({ url, org, bucket, dialect: options.dialect }, "Influx store opened");
  return store;
}

interface Parts {
  dialect: Dialect;
  writer: LineWriter;
  metrics: StoreMetrics;
  logger: Logger;
  clock: Clock;
}

class InfluxStore implements Store {
  readonly #parts: Parts;
  /** Measurements that were written before: one per resolution, alerts and devices. */
  readonly #prepared = new Set<string>();
  #closed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  write(batch: StoreBatch): Promise<RejectedRow[]> {
    const { writer, metrics, logger, clock } = this.#parts;
    return metrics.write(batch, async () => {
      this.#assertOpen();
      const startedMs = clock.monotonicMs();
      const { lines, rejected } = toLines(batch);
      for (const measurement of new Set(lines.map((line) => line.measurement)))
        await this.#prepare(measurement);
      for (const row of await writer.write(lines)) rejected.push(row);
      logger.debug({ lines: lines.length, tookMs: clock.monotonicMs() - startedMs }, "batch written");
      if (rejected.length > 0)
        logger.warn({ rows: rejected.length, first: rejected[0]!.reason }, "rows were refused");
      return rejected;
    });
  }

  rollups(query: RollupQuery) {
    return this.#read(async () => {
      const measurement = rollupMeasurement(query.resolution);
      if (measurement === undefined || query.from >= query.to || query.limit === 0) return [];
      return this.#parts.dialect.rollups(query, measurement);
    });
  }

  alerts(query: AlertQuery) {
    return this.#read(() => this.#parts.dialect.alerts({ ...query, limit: query.limit ?? DEFAULT_ALERTS }));
  }

  devices() {
    return this.#read(() => this.#parts.dialect.devices());
  }

  check() {
    return this.#read(() => this.#parts.dialect.check());
  }

  /** Nothing is buffered, so nothing is left to flush; requests under way end by themselves. */
  async close(): Promise<void> {
    this.#closed = true;
  }

  #read<T>(work: () => Promise<T>): Promise<T> {
    return this.#parts.metrics.guard(async () => {
      this.#assertOpen();
      return work();
    });
  }

  async #prepare(measurement: string): Promise<void> {
    if (this.#prepared.has(measurement)) return;
    await this.#parts.dialect.prepare(measurement);
    this.#prepared.add(measurement);
  }

  #assertOpen(): void {
    if (this.#closed) throw new SluiceError("STORE_UNAVAILABLE", "the store is closed");
  }
}
