/**
 * A store and a log in memory, for tests of the API and of the page. They keep the ports' promises about order,
 * upserts and limits; they hold nothing durable and must not be used outside tests.
 */
import type { Alert } from "../../contracts/alert.js";
import type { DeviceSummary } from "../../contracts/device.js";
import { SluiceError } from "../../contracts/errors.js";
import type { AppendRecord, Log, LogRecord, PartitionRange, ReadOptions } from "../../contracts/ports/log.js";
import type { AlertQuery, RollupQuery, Store, StoreBatch } from "../../contracts/ports/store.js";
import { type Rollup, rollupKey } from "../../contracts/rollup.js";

export class MemoryStore implements Store {
  readonly #rollups = new Map<string, Rollup>();
  readonly #alerts = new Map<string, Alert>();
  readonly #devices = new Map<string, DeviceSummary>();
  /** Set to make every call fail as an unreachable server does. */
  down = false;

  async write(batch: StoreBatch) {
    this.#guard();
    for (const rollup of batch.rollups) this.#rollups.set(rollupKey(rollup), rollup);
    for (const alert of batch.alerts) this.#alerts.set(alert.id, alert);
    for (const device of batch.devices) this.#devices.set(device.device, device);
    return [];
  }

  async rollups({ device, metric, resolution, from, to, limit }: RollupQuery) {
    this.#guard();
    return [...this.#rollups.values()]
      .filter((row) => row.device === device && row.metric === metric && row.resolution === resolution)
      .filter((row) => row.start >= from && row.start < to)
      .sort((a, b) => a.start - b.start)
      .slice(0, limit);
  }

  async alerts({ state, device, limit = 100 }: AlertQuery) {
    this.#guard();
    return [...this.#alerts.values()]
      .filter((row) => (state === undefined || row.state === state) && (!device || row.device === device))
      .sort((a, b) => b.updatedAt - a.updatedAt)
      .slice(0, limit);
  }

  async devices() {
    this.#guard();
    return [...this.#devices.values()].sort((a, b) => (a.device < b.device ? -1 : 1));
  }

  async check() {
    this.#guard();
  }

  async close() {}

  #guard() {
    if (this.down) throw new SluiceError("STORE_UNAVAILABLE", "connection refused");
  }
}

/** Topics of `partitions` partitions each; only what the API reads: append, ranges, read, check. */
export class MemoryLog implements Log {
  readonly #topics = new Map<string, LogRecord[][]>();
  readonly #partitions: number;
  down = false;

  constructor(partitions: number, topics: readonly string[]) {
    this.#partitions = partitions;
    for (const topic of topics)
      this.#topics.set(
        topic,
        Array.from({ length: partitions }, () => []),
      );
  }

  async append(topic: string, records: readonly AppendRecord[]) {
    for (const record of records) {
      const total = this.#topic(topic).reduce((sum, rows) => sum + rows.length, 0);
      const partition = total % this.#partitions;
      const rows = this.#topic(topic)[partition]!;
      const { timestamp, value, headers = {}, key = null } = record;
      rows.push({ partition, offset: rows.length, timestamp, key, value, headers });
    }
  }

  async ranges(topic: string): Promise<PartitionRange[]> {
    return this.#topic(topic).map((rows, partition) => ({ partition, earliest: 0, next: rows.length }));
  }

  async *read(topic: string, partition: number, from: number, options: ReadOptions = {}) {
    yield this.#topic(topic)[partition]!.slice(from, options.to);
  }

  async check() {
    this.#topic("");
  }

  async close() {}

  ensureTopics(): never {
    return unsupported("ensureTopics");
  }
  offsetForTime(): never {
    return unsupported("offsetForTime");
  }
  subscribe(): never {
    return unsupported("subscribe");
  }
  committed(): never {
    return unsupported("committed");
  }
  commit(): never {
    return unsupported("commit");
  }

  #topic(topic: string): LogRecord[][] {
    if (this.down) throw new SluiceError("LOG_UNAVAILABLE", "no broker");
    const rows = this.#topics.get(topic);
    if (!rows) throw new SluiceError("LOG_UNKNOWN_TOPIC", `no topic ${topic}`);
    return rows;
  }
}

function unsupported(name: string): never {
  throw new Error(`the log of these tests has no ${name}`);
}
