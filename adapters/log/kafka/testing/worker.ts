/**
 * For tests only: a group member that works as a processor does.
 */
import type { Log, LogRecord, Offset, PartitionHandler } from "../../../../contracts/ports/log.js";

/** Restores from the group's commits, commits every batch, and notes who has which partition. */
export class Worker implements PartitionHandler {
  readonly events: string[] = [];
  readonly handled: { partition: number; offset: Offset }[] = [];
  readonly #log: Log;
  readonly #group: string;
  readonly #topic: string;
  readonly #owners: Map<number, Worker>;
  readonly #violations: string[];

  /** `owners` and `violations` are shared by the workers of a group. */
  constructor(log: Log, group: string, topic: string, owners: Map<number, Worker>, violations: string[]) {
    this.#log = log;
    this.#group = group;
    this.#topic = topic;
    this.#owners = owners;
    this.#violations = violations;
  }

  async assigned(partition: number): Promise<Offset> {
    this.events.push(`assigned ${partition}`);
    if (this.#owners.has(partition)) this.#violations.push(`partition ${partition} has two owners`);
    this.#owners.set(partition, this);
    return (await this.#log.committed(this.#group, this.#topic, partition)) ?? 0;
  }

  async batch(partition: number, records: LogRecord[]): Promise<void> {
    if (this.#owners.get(partition) !== this)
      this.#violations.push(`batch of ${partition} without owning it`);
    for (const { offset } of records) this.handled.push({ partition, offset });
    await this.#log.commit(this.#group, this.#topic, partition, records.at(-1)!.offset + 1);
  }

  async revoked(partition: number, why: string): Promise<void> {
    this.events.push(`revoked ${partition} ${why}`);
    this.#owners.delete(partition);
  }

  fellBehind(partition: number): void {
    this.#violations.push(`partition ${partition} fell behind`);
  }
}
