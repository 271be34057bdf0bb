/**
 * What the tests of the log contract share: names nobody used before, reading, waiting for conditions.
 */
import assert from "node:assert/strict";
import { hasCode } from "../../contracts/errors.js";
import type { AppendRecord, Log, LogRecord, Offset, PartitionHandler } from "../../contracts/ports/log.js";
import type { LogSupports } from "./log-suite.js";

const WAIT_LIMIT_MS = 60_000;
const POLL_MS = 10;

export interface Suite {
  log(): Log;
  supports(): LogSupports;
  /** False when the adapter cannot be reopened. */
  reopen(): Promise<boolean>;
}

let names = 0;
const run = `${process.pid.toString(36)}-${Date.now().toString(36)}`;

/** A name nobody has used before, also on a broker that outlives this process. */
export function unique(kind: string): string {
  return `suite-${kind}-${run}-${++names}`;
}

/** A new topic; returns its name. */
export async function topic(suite: Suite, partitions = 1): Promise<string> {
  const name = unique("topic");
  await suite.log().ensureTopics([{ name, partitions }]);
  return name;
}

/** Record times are recent: a broker may refuse or expire others. */
export const T0 = Date.now() - 60_000;

export function record(text: string, more: Partial<AppendRecord> = {}): AppendRecord {
  return { value: Buffer.from(text), timestamp: T0, ...more };
}

export function texts(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `v${from + i}`);
}

export function textOf(one: { value: Uint8Array }): string {
  return Buffer.from(one.value).toString();
}

/** A record whose value may be kept: the log's own view is valid until the next batch only. */
export function keep(one: LogRecord): LogRecord {
  return { ...one, value: Uint8Array.from(one.value) };
}

export async function readAll(
  log: Log,
  name: string,
  partition = 0,
  from?: Offset,
  to?: Offset,
): Promise<LogRecord[]> {
  const start = from ?? (await rangeOf(log, name, partition)).earliest;
  const all: LogRecord[] = [];
  for await (const batch of log.read(name, partition, start, to === undefined ? {} : { to })) {
    for (const one of batch) all.push(keep(one));
  }
  return all;
}

export async function rangeOf(
  log: Log,
  name: string,
  partition = 0,
): Promise<{ earliest: Offset; next: Offset }> {
  const found = (await log.ranges(name)).find((range) => range.partition === partition);
  assert.ok(found, `no range for partition ${partition} of ${name}`);
  return found;
}

export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = Date.now() + WAIT_LIMIT_MS;
  while (!(await condition())) {
    if (Date.now() > giveUpAt) assert.fail(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** `promise`, or a failure when it takes for ever. */
export async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain: ${what}`)), WAIT_LIMIT_MS);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

export async function rejectsWith(
  code: Parameters<typeof hasCode>[1],
  work: () => Promise<unknown>,
): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(hasCode(error, code), `expected ${code}, got ${String(error)}`);
    return true;
  });
}

export function gate(): { opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** A handler that notes everything, and checks that calls for one partition never overlap. */
export class Recorder implements PartitionHandler {
  readonly events: string[] = [];
  readonly seen = new Map<number, LogRecord[]>();
  readonly fell: [number, Offset, Offset][] = [];
  overlaps = 0;
  batches = 0;
  readonly #running = new Set<number>();
  readonly #start: (partition: number) => Offset | Promise<Offset>;
  readonly #work: (partition: number, records: LogRecord[]) => Promise<void> | void;

  constructor(
    start: (partition: number) => Offset | Promise<Offset> = () => 0,
    work: (partition: number, records: LogRecord[]) => Promise<void> | void = () => {},
  ) {
    this.#start = start;
    this.#work = work;
  }

  assigned(partition: number): Promise<Offset> {
    return this.#alone(partition, async () => {
      this.events.push(`assigned ${partition}`);
      return this.#start(partition);
    });
  }

  batch(partition: number, records: LogRecord[]): Promise<void> {
    return this.#alone(partition, async () => {
      this.batches++;
      this.events.push(`batch ${partition}`);
      const list = this.seen.get(partition) ?? [];
      this.seen.set(partition, list);
      list.push(...records.map(keep));
      await this.#work(partition, records);
      this.events.push(`handled ${partition}`);
    });
  }

  revoked(partition: number, why: string): Promise<void> {
    return this.#alone(partition, async () => {
      this.events.push(`revoked ${partition} ${why}`);
    });
  }

  fellBehind(partition: number, wanted: Offset, earliest: Offset): void {
    this.fell.push([partition, wanted, earliest]);
  }

  total(): number {
    let sum = 0;
    for (const list of this.seen.values()) sum += list.length;
    return sum;
  }

  async #alone<T>(partition: number, work: () => Promise<T>): Promise<T> {
    if (this.#running.has(partition)) this.overlaps++;
    this.#running.add(partition);
    try {
      return await work();
    } finally {
      this.#running.delete(partition);
    }
  }
}
