/**
 * The topics of an embedded log: created once, known by name, numbered for the keys of the other tables.
 */
import { SluiceError } from "../../../contracts/errors.js";
import type { TopicSpec } from "../../../contracts/topics.js";
import type { PartitionKey, Storage, StoredTopic } from "./storage.js";

export class Topics {
  readonly #storage: Storage;
  /** Id and partition count never change, so an entry is never stale; retention is read from the table. */
  readonly #known = new Map<string, StoredTopic>();

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** Creates what is missing; brings retention up to date. A partition count stays as it was. */
  async ensure(specs: readonly TopicSpec[]): Promise<void> {
    const { topics } = this.#storage;
    await this.#storage.write("cannot create topics", () => {
      let lastId = 0;
      for (const { value } of topics.getRange()) lastId = Math.max(lastId, value.id);
      for (const { name, partitions, retentionMs, retentionBytes } of specs) {
        const there = topics.get(name);
        const id = there?.id ?? ++lastId;
        topics.putSync(name, {
          id,
          partitions: there?.partitions ?? partitions,
          retentionMs,
          retentionBytes,
        });
      }
    });
  }

  /** @throws SluiceError LOG_UNKNOWN_TOPIC */
  get(name: string): StoredTopic {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    this.#storage.refresh();
    const stored = this.#storage.topics.get(name);
    if (stored === undefined)
      throw new SluiceError("LOG_UNKNOWN_TOPIC", `there is no topic ${name} in the log`);
    this.#known.set(name, stored);
    return stored;
  }

  /** @throws SluiceError LOG_UNKNOWN_TOPIC */
  partition(name: string, partition: number): PartitionKey {
    const topic = this.get(name);
    if (!Number.isInteger(partition) || partition < 0 || partition >= topic.partitions) {
      throw new SluiceError("LOG_UNKNOWN_TOPIC", `topic ${name} has no partition ${partition}`);
    }
    return [topic.id, partition];
  }

  /** Every topic as stored now, retention included. */
  all(): { name: string; topic: StoredTopic }[] {
    this.#storage.refresh();
    return [...this.#storage.topics.getRange()].map(({ key, value }) => ({ name: key, topic: value }));
  }
}
