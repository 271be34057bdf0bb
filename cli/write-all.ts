/**
 * Writes a batch of which every row has to be stored, as in a replay or a comparison: there is no dead letter to fall to.
 */
import { SluiceError } from "../contracts/errors.js";
import type { Store, StoreBatch } from "../contracts/ports/store.js";

/** @throws SluiceError STORE_REJECTED naming the first row the store refused, STORE_UNAVAILABLE */
export async function writeAll(store: Store, batch: StoreBatch): Promise<void> {
  const [first] = await store.write(batch);
  if (first) throw new SluiceError("STORE_REJECTED", `${first.reason}: ${first.line}`);
}
