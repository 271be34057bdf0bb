/**
 * A log in memory for tests of the gateway: it can hold appends back, fail them, and count them.
 *
 * It keeps the promises of the port that the gateway leans on (order, resolve only when stored); durability it
 * cannot have.
 */
import { SluiceError } from "../contracts/errors.js";
import type {
  AppendRecord,
  Log,
  LogRecord,
  Offset,
  PartitionHandler,
  PartitionRange,
  Subscription,
} from "../contracts/ports/log.js";
import type { TopicSpec } from "../contracts/topics.js";

export class TestLog implements Log {
  /** What is stored, by topic, in order. */
  readonly topics = new Map<string, AppendRecord[]>();
  /** Calls of `append` so far, failed ones too. */
  appends = 0;
  /** The next append of a topic fails with this. */
  failure: SluiceError | undefined;
  readonly #committed = new Map<string, Offset>();
  readonly #held: (() => void)[] = [];
  readonly #grown = new Set<() => void>();
  #holding = false;

  /** Appends wait from now on. */
  hold(): void {
    this.#holding = true;
  }

  /** Lets every waiting append go on, and those to come. */
  release(): void {
    this.#holding = false;
    for (const go of this.#held.splice(0)) go();
  }

  /** Appends that are waiting. */
  get holding(): number {
    return this.#held.length;
  }

  records(topic: string): AppendRecord[] {
    return this.topics.get(topic) ?? [];
  }

  /** The records of a topic as parsed JSON. */
  json<T>(topic: string): T[] {
    return this.records(topic).map((record) => JSON.parse(Buffer.from(record.value).toString()) as T);
  }

  async ensureTopics(_specs: readonly TopicSpec[]): Promise<void> {}

  async append(topic: string, records: readonly AppendRecord[]): Promise<void> {
    this.appends++;
    if (this.#holding) await new Promise<void>((resolve) => this.#held.push(resolve));
    if (this.failure !== undefined) throw this.failure;
    const stored = this.topics.get(topic) ?? [];
    this.topics.set(topic, stored);
    for (const record of records) stored.push(record);
    for (const wake of this.#grown) wake();
  }

  async ranges(topic: string): Promise<PartitionRange[]> {
    return [{ partition: 0, earliest: 0, next: this.records(topic).length }];
  }

  async offsetForTime(topic: string, _partition: number, timestampMs: number): Promise<Offset> {
    const at = this.records(topic).findIndex((record) => record.timestamp >= timestampMs);
    return at < 0 ? this.records(topic).length : at;
  }

  async *read(topic: string, _partition: number, from: Offset): AsyncIterable<LogRecord[]> {
    const records = this.records(topic).slice(from);
    if (records.length > 0) yield records.map((record, at) => toLogRecord(record, from + at));
  }

  async subscribe(_group: string, topic: string, handler: PartitionHandler): Promise<Subscription> {
    let next = await handler.assigned(0);
    let open = true;
    let wake = () => {};
    const grown = () => wake();
    this.#grown.add(grown);
    const run = async () => {
      while (open) {
        const records = this.records(topic)
          .slice(next)
          .map((record, at) => toLogRecord(record, next + at));
        if (records.length === 0) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          continue;
        }
        await handler.batch(0, records);
        next += records.length;
      }
    };
    const done = run().finally(() => this.#grown.delete(grown));
    return {
      done,
      lag: async () => this.records(topic).length - next,
      assigned: () => [0],
      close: async () => {
        open = false;
        wake();
        await done;
        await handler.revoked(0, "closing");
      },
    };
  }

  async committed(group: string, topic: string): Promise<Offset | undefined> {
    return this.#committed.get(`${group}/${topic}`);
  }

  async commit(group: string, topic: string, _partition: number, offset: Offset): Promise<void> {
    this.#committed.set(`${group}/${topic}`, offset);
  }

  async check(): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
  }

  async close(): Promise<void> {}
}

/** The error of a log that is down for now. */
export function unavailable(): SluiceError {
  return new SluiceError("LOG_UNAVAILABLE", "the log is down");
}

function toLogRecord(record: AppendRecord, offset: Offset): LogRecord {
  return {
    partition: 0,
    offset,
    timestamp: record.timestamp,
    key: record.key ?? null,
    value: record.value,
    headers: record.headers ?? {},
  };
}
