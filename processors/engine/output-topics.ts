/**
 * The records a task adds to output topics, each at most once although a crash makes it process input again.
 *
 * Outputs are appended before the checkpoint is committed, so after a crash some are in the topic already. Each
 * carries the input position it came from (header `src`); a restored task reads what lies past the ends noted in its
 * checkpoint, and leaves out what it finds there. This works because the operators give the same outputs for the
 * same input (INV-4). Rollups need none of it: they are absolute values with an identity.
 */

import type { TaskId } from "../../contracts/ports/checkpoint.js";
import type { AppendRecord, Log, Offset } from "../../contracts/ports/log.js";
import { TOPICS } from "../../contracts/topics.js";

/** Next offset per partition of each output topic, as of some commit. */
export type OutputEnds = Record<string, Offset[]>;

const EXACTLY_ONCE_TOPICS = [TOPICS.late, TOPICS.alerts, TOPICS.invalid] as const;
export type OutputTopic = (typeof EXACTLY_ONCE_TOPICS)[number];

/** Position of a record in an output topic. `timed`: it came with time, and not from a record. */
interface Found {
  topic: OutputTopic;
  partition: number;
  offset: Offset;
  timed: boolean;
}

/** Header that names the input record an output came from. */
export const SOURCE_HEADER = "src";

/** Origin of an output of the input record at `offset`; `what` tells outputs of one record for one topic apart. */
export function outputOrigin(offset: Offset, what = ""): string {
  return `${offset}#${what}`;
}

/** Origin of an output that comes with time alone: its own identity. */
export function timedOrigin(id: string): string {
  return `${TIMED}${id}`;
}

const TIMED = "time/";

export class OutputTopics {
  readonly #log: Log;
  readonly #task: TaskId;
  readonly #pending = new Map<OutputTopic, AppendRecord[]>();
  /** Outputs found in the topics, by topic and source, and where: not to be appended again. */
  readonly #written = new Map<string, Found>();
  #ends: OutputEnds = {};
  /** Topics with an append that failed: what it was to store may be there all the same. */
  readonly #uncertain = new Map<OutputTopic, Offset[]>();

  constructor(log: Log, task: TaskId) {
    this.#log = log;
    this.#task = task;
  }

  /** Reads what the task wrote after the commit that noted `ends`; without ends, all of it. */
  async restore(ends: OutputEnds): Promise<void> {
    this.#ends = ends;
    for (const topic of EXACTLY_ONCE_TOPICS) await this.#collectFrom(topic, ends[topic] ?? []);
  }

  /**
   * Queues an output. `origin` is what it has come from, the same whenever it comes again: {@link outputOrigin}, or
   * {@link timedOrigin} where it comes from no record.
   */
  add(topic: OutputTopic, origin: string, record: AppendRecord): void {
    const source = `${this.#prefix()}${origin}`;
    if (this.#written.delete(`${topic} ${source}`)) return;
    const pending = this.#pending.get(topic);
    const withSource = { ...record, headers: { ...record.headers, [SOURCE_HEADER]: source } };
    if (pending) pending.push(withSource);
    else this.#pending.set(topic, [withSource]);
  }

  /**
   * Appends what is queued. A failed call may be repeated: it first looks for what the failed one stored.
   * @returns the ends to put into the checkpoint
   */
  async append(): Promise<OutputEnds> {
    for (const topic of this.#pending.keys()) await this.#appendTo(topic);
    return this.#ends;
  }

  /** True while outputs that came with time were found, and have not come again. */
  get unsettled(): boolean {
    for (const { timed } of this.#written.values()) if (timed) return true;
    return false;
  }

  /** The time has come for all that comes with time: what was found and has not come again never will. */
  settle(): void {
    for (const [key, { timed }] of this.#written) if (timed) this.#written.delete(key);
  }

  async #appendTo(topic: OutputTopic): Promise<void> {
    const ends = this.#uncertain.get(topic) ?? (await this.#endsOf(topic));
    if (this.#uncertain.has(topic)) await this.#dropStored(topic, ends);
    this.#uncertain.set(topic, ends);
    await this.#log.append(topic, this.#pending.get(topic)!);
    this.#uncertain.delete(topic);
    this.#ends = { ...this.#ends, [topic]: this.#untilFound(topic, ends) };
    this.#pending.delete(topic);
  }

  /**
   * The ends, but not past outputs found that are still to come again. Those of records come in the order of the input,
   * before anything new; those that come with time may come after.
   */
  #untilFound(topic: OutputTopic, ends: readonly Offset[]): Offset[] {
    const until = [...ends];
    for (const found of this.#written.values()) {
      if (found.timed && found.topic === topic)
        until[found.partition] = Math.min(until[found.partition] ?? 0, found.offset);
    }
    return until;
  }

  async #endsOf(topic: OutputTopic): Promise<Offset[]> {
    const ends: Offset[] = [];
    for (const { partition, next } of await this.#log.ranges(topic)) ends[partition] = next;
    return ends;
  }

  /** Takes out of the queue what the topic holds from `ends` on. */
  async #dropStored(topic: OutputTopic, ends: readonly Offset[]): Promise<void> {
    await this.#collectFrom(topic, ends);
    const pending = this.#pending.get(topic)!;
    const missing = pending.filter(
      (record) => !this.#written.delete(`${topic} ${record.headers![SOURCE_HEADER]}`),
    );
    this.#pending.set(topic, missing);
  }

  #prefix(): string {
    return `${this.#task.group}/${this.#task.topic}/${this.#task.partition}@`;
  }

  async #collectFrom(topic: OutputTopic, ends: readonly Offset[]): Promise<void> {
    for (const { partition, earliest, next } of await this.#log.ranges(topic)) {
      const from = Math.max(earliest, ends[partition] ?? 0);
      if (from < next) await this.#collect(topic, partition, from, next);
    }
  }

  async #collect(topic: OutputTopic, partition: number, from: Offset, to: Offset): Promise<void> {
    const prefix = this.#prefix();
    for await (const batch of this.#log.read(topic, partition, from, { to })) {
      for (const record of batch) {
        const source = record.headers[SOURCE_HEADER];
        if (!source?.startsWith(prefix)) continue;
        const timed = source.startsWith(TIMED, prefix.length);
        this.#written.set(`${topic} ${source}`, { topic, partition, offset: record.offset, timed });
      }
    }
  }
}
