/**
 * The LMDB environment behind the embedded log: its tables, and what its failures mean.
 *
 * Durability: `overlappingSync: false` makes a commit's promise resolve after `mdb_txn_commit`, which syncs the data
 * pages and then writes the meta page through a file opened with O_DSYNC. With lmdb-js's default, it would resolve
 * when the commit is visible, before it is on the disk.
 *
 * Tables, each keyed by [topic id, partition, ...] so that a partition is one contiguous range:
 *   batches  [.., base offset]    -> stored batch (format.ts)
 *   index    [.., base offset]    -> [count, size in bytes, largest timestamp]
 *   rises    [.., timestamp]      -> base offset of the batch that first reached this timestamp
 *   states   [..]                 -> [earliest, next, bytes, largest timestamp, largest deleted timestamp]
 *   probe    one row that {@link Storage.probe} writes
 * and   topics  name -> spec,  groups [group, topic, partition] -> offset,  leases [group, topic] -> owner.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import { SluiceError } from "../../../contracts/errors.js";
import type { Offset } from "../../../contracts/ports/log.js";
import type { Logger } from "../../../runtime/logger.js";
import { prepareDataFile } from "./data-file.js";

export interface StoredTopic {
  id: number;
  partitions: number;
  retentionMs?: number | undefined;
  retentionBytes?: number | undefined;
}

/** [count, size in bytes, largest timestamp] of a batch. */
export type IndexRow = [count: number, sizeBytes: number, maxTimestamp: number];

export interface PartitionState {
  earliest: Offset;
  next: Offset;
  /** Size of the stored batches. */
  bytes: number;
  /** Largest timestamp ever appended. */
  maxTimestamp: number;
  /** Largest timestamp among the deleted records. */
  deletedMaxTimestamp: number;
}

export interface LeaseRow {
  pid: number;
  /** Of the process, as the system tells it; null where it does not. Tells a reused pid apart. */
  startedAt: string | null;
  token: string;
}

export type PartitionKey = [topicId: number, partition: number];
export type RowKey = [topicId: number, partition: number, position: number];

const EMPTY: PartitionState = {
  earliest: 0,
  next: 0,
  bytes: 0,
  maxTimestamp: Number.NEGATIVE_INFINITY,
  deletedMaxTimestamp: Number.NEGATIVE_INFINITY,
};
const DATA_FILE = "log.mdb";
const MAX_TABLES = 8;
/** Read transactions at a time, over all processes. */
const MAX_READERS = 512;
const PROBE_BYTES = 64 * 1024;
const EIO = 5;

export class Storage {
  readonly batches: Database<Buffer, RowKey>;
  readonly index: Database<IndexRow, RowKey>;
  readonly rises: Database<Offset, RowKey>;
  readonly topics: Database<StoredTopic, string>;
  readonly groups: Database<Offset, [string, string, number]>;
  readonly leases: Database<LeaseRow, [string, string]>;
  readonly #states: Database<number[], PartitionKey>;
  readonly #probe: Database<Buffer, string>;
  readonly #env: RootDatabase;

  /** @throws SluiceError LOG_CORRUPT, LOG_UNAVAILABLE */
  constructor(dir: string, logger: Logger) {
    const path = join(dir, DATA_FILE);
    try {
      mkdirSync(dir, { recursive: true });
      const missingBytes = prepareDataFile(path);
      if (missingBytes > 0)
        logger.warn({ path, missingBytes }, "the log's file is shorter than its last commit");
      // Event-turn batching would put an instruction of its own before each transaction, whose promise nobody sees:
      // a failed commit (a full disk) would then end the process as an unhandled rejection.
      this.#env = open({
        path,
        overlappingSync: false,
        eventTurnBatching: false,
        maxDbs: MAX_TABLES,
        maxReaders: MAX_READERS,
      });
      this.batches = this.#env.openDB({ name: "batches", encoding: "binary" });
      this.index = this.#env.openDB({ name: "index" });
      this.rises = this.#env.openDB({ name: "rises" });
      this.#states = this.#env.openDB({ name: "states" });
      this.topics = this.#env.openDB({ name: "topics" });
      this.groups = this.#env.openDB({ name: "groups" });
      this.leases = this.#env.openDB({ name: "leases" });
      this.#probe = this.#env.openDB({ name: "probe", encoding: "binary" });
    } catch (error) {
      throw storageError(`cannot open the log at ${path}`, error);
    }
  }

  /** The partition as of now, other processes' commits included. */
  state(key: PartitionKey): PartitionState {
    const row = this.#states.get(key);
    if (row === undefined) return EMPTY;
    const [earliest, next, bytes, maxTimestamp, deletedMaxTimestamp] = row as [
      number,
      number,
      number,
      number,
      number,
    ];
    return { earliest, next, bytes, maxTimestamp, deletedMaxTimestamp };
  }

  /** Only inside {@link write}. */
  putState(key: PartitionKey, state: PartitionState): void {
    const { earliest, next, bytes, maxTimestamp, deletedMaxTimestamp } = state;
    this.#states.putSync(key, [earliest, next, bytes, maxTimestamp, deletedMaxTimestamp]);
  }

  /** The next read sees everything that was committed before it, by any process. */
  refresh(): void {
    this.#env.resetReadTxn();
  }

  /**
   * Runs `work` (synchronous) in the one write transaction of the environment, over all processes; resolves when
   * it is durable. All or nothing: when `work` throws, nothing of it is stored.
   * @throws SluiceError LOG_UNAVAILABLE, LOG_CORRUPT, or what `work` threw when that is a SluiceError
   */
  async write<T>(what: string, work: () => T): Promise<T> {
    try {
      return await this.#env.childTransaction(work);
    } catch (error) {
      throw storageError(what, await causeOf(error));
    }
  }

  /** Finds out whether a write works. @throws as {@link write} */
  async probe(): Promise<void> {
    await this.write("cannot write to the log", () => {
      this.#probe.putSync("probe", Buffer.alloc(PROBE_BYTES));
    });
  }

  async close(): Promise<void> {
    await this.#env.close();
  }
}

/** lmdb-js rejects a failed commit with a general error and gives the reason in a promise of its own. */
async function causeOf(error: unknown): Promise<unknown> {
  const reason = (error as { commitError?: Promise<unknown> } | undefined)?.commitError;
  if (reason === undefined) return error;
  return reason.then(
    () => error,
    (cause: unknown) => cause,
  );
}

/** LMDB's codes for a file that is not, or no longer, a sound database. */
const CORRUPT = new Set([-30797, -30796, -30794, -30793, -30779]);

/** What a failure of LMDB or the file system means to the log's user. */
export function storageError(what: string, cause: unknown): SluiceError {
  if (cause instanceof SluiceError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  const code = (cause as { code?: unknown } | undefined)?.code;
  const corrupt = typeof code === "number" && CORRUPT.has(code);
  // LMDB does not tell a short write from a failed one.
  const hint = code === EIO ? " (also the answer of a full disk)" : "";
  return new SluiceError(corrupt ? "LOG_CORRUPT" : "LOG_UNAVAILABLE", `${what}: ${reason}${hint}`, { cause });
}
