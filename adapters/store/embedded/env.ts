/**
 * The one LMDB environment that the embedded store and the embedded checkpoints share, so that outputs, state and
 * input offset commit in one transaction (INV-5).
 *
 * Guarantees: `commit` is all or nothing, and resolves only when the transaction is flushed to disk. LMDB's
 * overlapping sync is switched off, because with it a commit resolves before it is durable. Other processes may
 * have the same environment open, for reading and for writing.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import { SluiceError } from "../../../contracts/errors.js";
import { fillToLength, findDamage } from "./file-check.js";

export type Table = Database<Buffer, Buffer>;

/** An upsert, or a removal when `value` is undefined. Its bytes must not change until the commit is done. */
export interface Write {
  table: Table;
  key: Buffer;
  value: Uint8Array | undefined;
}

/** Commits only while the task's row has `version` (undefined: while there is none), and replaces that row. */
export interface Guard {
  key: Buffer;
  version: number | undefined;
  nextVersion: number;
  value: Uint8Array;
}

const FORMAT = "1";
const FORMAT_KEY = Buffer.from("format");
/** LMDB takes keys up to this length with its default page size. */
const MAX_KEY_BYTES = 1978;

export class StateEnv {
  readonly path: string;
  readonly rollups: Table;
  readonly alerts: Table;
  readonly alertIndex: Table;
  readonly devices: Table;
  /** State entries of all tasks. */
  readonly state: Table;
  /** One row per task: its input offset, versioned by the owner's epoch. */
  readonly tasks: Table;
  readonly #root: RootDatabase;
  #closing: Promise<void> | undefined;

  /** @throws SluiceError STATE_CORRUPT, STORE_UNAVAILABLE; both name the path */
  constructor(dir: string) {
    this.path = join(dir, "data.mdb");
    try {
      mkdirSync(dir, { recursive: true });
      const damage = findDamage(this.path);
      if (damage !== undefined) throw this.#corrupt(damage);
      this.#root = open({
        path: dir,
        noSubdir: false,
        maxDbs: 16,
        encoding: "binary",
        overlappingSync: false,
        // Batching by event turn makes a promise that nobody gets: when the disk is full, its rejection would be
        // unhandled and end the process.
        eventTurnBatching: false,
      });
      this.#fill();
      this.rollups = this.#table("rollups");
      this.alerts = this.#table("alerts");
      this.alertIndex = this.#table("alert_index");
      this.devices = this.#table("devices");
      this.state = this.#table("state");
      this.tasks = this.#table("tasks", true);
      this.#checkFormat(this.#table("meta"));
    } catch (error) {
      throw this.#failure(error, "cannot open");
    }
  }

  /**
   * Applies `writes` in order, in one durable transaction.
   * @returns false, with nothing written, when the guard no longer holds
   * @throws SluiceError STORE_UNAVAILABLE: nothing was written
   */
  async commit(writes: readonly Write[], guard?: Guard): Promise<boolean> {
    // LMDB would commit the first half of a transaction whose second half throws: nothing below may throw.
    for (const { key } of writes) {
      if (key.length > MAX_KEY_BYTES)
        throw new Error(`key of ${key.length} bytes is longer than ${MAX_KEY_BYTES}`);
    }
    const apply = () => {
      for (const { table, key, value } of writes) {
        if (value === undefined) table.remove(key);
        else table.put(key, value as Buffer);
      }
      if (guard) this.tasks.put(guard.key, guard.value as Buffer, guard.nextVersion);
    };
    try {
      if (guard === undefined) return await this.#root.batch(apply);
      if (guard.version === undefined) return await this.tasks.ifNoExists(guard.key, apply);
      return await this.tasks.ifVersion(guard.key, guard.version, apply);
    } catch (error) {
      throw this.#failure(await rootCause(error), "cannot write");
    }
  }

  /** Runs a read over one snapshot. */
  read<T>(work: (snapshot: ReturnType<RootDatabase["useReadTransaction"]>) => T): T {
    try {
      const snapshot = this.#root.useReadTransaction();
      try {
        return work(snapshot);
      } finally {
        snapshot.done();
      }
    } catch (error) {
      throw this.#failure(error, "cannot read");
    }
  }

  /** Waits for commits under way. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#root.close();
    return this.#closing;
  }

  #table(name: string, useVersions = false): Table {
    return this.#root.openDB<Buffer, Buffer>({
      name,
      keyEncoding: "binary",
      encoding: "binary",
      useVersions,
    });
  }

  /** In a write transaction, so that no other process is writing pages at the end of the file meanwhile. */
  #fill(): void {
    this.#root.transactionSync(() => {
      const { lastPageNumber, pageSize } = this.#root.getStats() as {
        lastPageNumber: number;
        pageSize: number;
      };
      fillToLength(this.path, (lastPageNumber + 1) * pageSize);
    });
  }

  #checkFormat(meta: Table): void {
    const found = meta.get(FORMAT_KEY)?.toString();
    if (found === undefined) meta.putSync(FORMAT_KEY, Buffer.from(FORMAT));
    else if (found !== FORMAT)
      throw this.#corrupt(`it has format ${found}; this version reads format ${FORMAT}`);
  }

  #corrupt(reason: string, cause?: unknown): SluiceError {
    return new SluiceError("STATE_CORRUPT", `state file ${this.path} is damaged: ${reason}`, { cause });
  }

  #failure(error: unknown, what: string): unknown {
    if (error instanceof SluiceError) return error;
    const reason = error instanceof Error ? error.message : String(error);
    if (/MDB_(INVALID|CORRUPTED|PAGE_NOTFOUND|VERSION_MISMATCH|PANIC|INCOMPATIBLE)/.test(reason)) {
      return new SluiceError("STATE_CORRUPT", `state file ${this.path} is damaged: ${reason}`, {
        cause: error,
      });
    }
    return new SluiceError("STORE_UNAVAILABLE", `${what} ${this.path}: ${reason}`, { cause: error });
  }
}

/** lmdb says "Commit failed" and rejects `commitError`, later, with what happened. */
async function rootCause(error: unknown): Promise<unknown> {
  if (!(error instanceof Error && "commitError" in error)) return error;
  try {
    await error.commitError;
  } catch (cause) {
    return cause;
  }
  return error;
}
