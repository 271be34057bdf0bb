/**
 * The store port on LMDB. Any process may open it and read while another writes.
 */
import type { Alert } from "../../../contracts/alert.js";
import type { DeviceSummary } from "../../../contracts/device.js";
import type {
  AlertQuery,
  RejectedRow,
  RollupQuery,
  Store,
  StoreBatch,
} from "../../../contracts/ports/store.js";
import type { Rollup } from "../../../contracts/rollup.js";
import type { StoreMetrics } from "../metrics.js";
import { readAlerts } from "./alerts.js";
import { unpack } from "./codec.js";
import { readRollups, removeRollupsBefore } from "./rollups.js";
import type { StateTables } from "./tables.js";

export class EmbeddedStore implements Store {
  readonly #tables: StateTables;
  readonly #metrics: StoreMetrics;

  constructor(tables: StateTables, metrics: StoreMetrics) {
    this.#tables = tables;
    this.#metrics = metrics;
  }

  /** Durable when it resolves; rejects no row. */
  async write(batch: StoreBatch): Promise<RejectedRow[]> {
    await this.#metrics.write(batch, () => this.#tables.write(batch));
    return [];
  }

  rollups(query: RollupQuery): Promise<Rollup[]> {
    return this.#metrics.guard(() => readRollups(this.#tables.env, query));
  }

  alerts(query: AlertQuery): Promise<Alert[]> {
    return this.#metrics.guard(async () => readAlerts(this.#tables.env, query));
  }

  devices(): Promise<DeviceSummary[]> {
    const { env } = this.#tables;
    return this.#metrics.guard(async () =>
      env.read((transaction) =>
        Array.from(env.devices.getRange({ transaction }), ({ value }) => unpack<DeviceSummary>(value)),
      ),
    );
  }

  /**
   * Retention: removes rollups that start before the time given for their resolution (epoch milliseconds, by name).
   * @returns how many were removed
   */
  async retain(beforeMs: Readonly<Record<string, number>>): Promise<number> {
    let removed = 0;
    for (const [resolution, before] of Object.entries(beforeMs)) {
      removed += await this.#metrics.guard(() => removeRollupsBefore(this.#tables.env, resolution, before));
    }
    return removed;
  }

  async check(): Promise<void> {
    this.#tables.env.read(
      (transaction) => this.#tables.env.devices.getKeys({ limit: 1, transaction }).asArray,
    );
  }

  /** The environment stays open for the checkpoints: `EmbeddedState.close` closes it. */
  async close(): Promise<void> {}
}
