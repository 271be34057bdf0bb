/**
 * Opens the embedded state: one LMDB environment with a store and checkpoints that commit together.
 */
import type { Checkpoints } from "../../../contracts/ports/checkpoint.js";
import type { Logger } from "../../../runtime/logger.js";
import type { Registry } from "../../../runtime/metrics.js";
import { EmbeddedCheckpoints } from "../../checkpoint/embedded.js";
import { StoreMetrics } from "../metrics.js";
import { StateEnv } from "./env.js";
import { EmbeddedStore } from "./store.js";
import { StateTables } from "./tables.js";

export type { EmbeddedStore } from "./store.js";

export interface EmbeddedStateOptions {
  /** Directory of the environment; made when missing. Other processes may open it at the same time. */
  dir: string;
  logger: Logger;
  registry?: Registry;
}

export interface EmbeddedState {
  store: EmbeddedStore;
  checkpoints: Checkpoints;
  /** Waits for writes under way, then closes both. Idempotent. */
  close(): Promise<void>;
}

/** @throws SluiceError STATE_CORRUPT, STORE_UNAVAILABLE; both name the file */
export function openEmbeddedState({ dir, logger, registry }: EmbeddedStateOptions): EmbeddedState {
  const env = new StateEnv(dir);
  const tables = new StateTables(env);
  const metrics = new StoreMetrics(registry);
  logger.debug({ path: env.path }, "embedded state opened");
  return {
    store: new EmbeddedStore(tables, metrics),
    checkpoints: new EmbeddedCheckpoints(tables, metrics),
    close: () => env.close(),
  };
}
