/**
 * Writes store batches, alone or together with a task's state and offset.
 */
import type { StoreBatch } from "../../../contracts/ports/store.js";
import { Mutex } from "../../../runtime/mutex.js";
import { alertWrites } from "./alerts.js";
import { pack } from "./codec.js";
import type { Guard, StateEnv, Write } from "./env.js";
import { rollupWrites } from "./rollups.js";

export class StateTables {
  readonly env: StateEnv;
  /** Replacing an alert reads what it was. */
  readonly #alerting = new Mutex();

  constructor(env: StateEnv) {
    this.env = env;
  }

  /**
   * Upserts `batch` and applies `more` in one durable transaction.
   * @returns false, with nothing written, when the guard no longer holds
   * @throws SluiceError STORE_UNAVAILABLE: nothing was written
   */
  async write(batch: StoreBatch, more: readonly Write[] = [], guard?: Guard): Promise<boolean> {
    const { env } = this;
    const writes = rollupWrites(env, batch.rollups);
    for (const device of batch.devices) {
      writes.push({ table: env.devices, key: Buffer.from(device.device), value: pack(device) });
    }
    for (const write of more) writes.push(write);
    if (batch.alerts.length === 0) return env.commit(writes, guard);
    return this.#alerting.run(() => env.commit([...alertWrites(env, batch.alerts), ...writes], guard));
  }
}
