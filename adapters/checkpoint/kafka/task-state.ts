/**
 * The state of one task in memory, as its changelog has it. Holds copies: no buffer of a caller or of a network read.
 */
import { hasCode, SluiceError } from "../../../contracts/errors.js";
import type { Checkpoint } from "../../../contracts/ports/checkpoint.js";
import type { LogRecord, Offset } from "../../../contracts/ports/log.js";
import type { ChangelogEntry } from "../../log/kafka/transactional.js";
import { checkpointEntry, decodeEntry, type Entry, removalOf, stateEntry } from "./entries.js";

export class TaskState {
  readonly #entries = new Map<string, Uint8Array>();
  #offset: Offset | undefined;
  #bytes = 0;
  /** Keys of records whose latest value cannot be read, and why. */
  readonly #unreadable = new Map<string, SluiceError>();

  get offset(): Offset | undefined {
    return this.#offset;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Of all values. */
  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): Uint8Array | undefined {
    return this.#entries.get(key);
  }

  entries(): Iterable<[string, Uint8Array]> {
    return this.#entries.entries();
  }

  /** Records that remove all there is. */
  removals(): ChangelogEntry[] {
    return [
      ...Array.from(this.#entries.keys(), (key) => stateEntry(key, null)),
      ...Array.from(this.#unreadable.keys(), removalOf),
      checkpointEntry(null),
    ];
  }

  /** Takes one record of the changelog, in order. */
  load(record: LogRecord): void {
    const entry = this.#decode(record);
    if (entry?.kind === "checkpoint") this.#offset = entry.offset;
    else if (entry?.kind === "state") this.#put(entry.key, entry.value);
  }

  /** @throws SluiceError STATE_CORRUPT when a record could not be read */
  assertReadable(): void {
    for (const problem of this.#unreadable.values()) throw problem;
  }

  /** What a commit has changed, once it is durable. */
  commit(offset: Offset, state: Checkpoint["state"]): void {
    this.#offset = offset;
    for (const [key, value] of state) this.#put(key, value === null ? undefined : new Uint8Array(value));
  }

  clear(): void {
    this.#entries.clear();
    this.#offset = undefined;
    this.#bytes = 0;
    this.#unreadable.clear();
  }

  #put(key: string, value: Uint8Array | undefined): void {
    this.#bytes += (value?.byteLength ?? 0) - (this.#entries.get(key)?.byteLength ?? 0);
    if (value === undefined) this.#entries.delete(key);
    else this.#entries.set(key, value);
  }

  #decode(record: LogRecord): Entry | undefined {
    const key = record.key ?? "";
    try {
      const entry = decodeEntry(record);
      this.#unreadable.delete(key);
      return entry;
    } catch (error) {
      if (!hasCode(error, "STATE_CORRUPT")) throw error;
      const text = `${error.message} (offset ${record.offset})`;
      this.#unreadable.set(key, new SluiceError("STATE_CORRUPT", text, { cause: error }));
      return undefined;
    }
  }
}
