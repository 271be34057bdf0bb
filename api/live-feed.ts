/**
 * The hub between what processors commit and who watches it live (the page, the event stream).
 *
 * Owns nothing durable: an event that nobody listens to is gone, because the same facts are in the store.
 * Publish only what is already committed, so that a watcher never sees what a crash takes back.
 */
import type { Alert } from "../contracts/alert.js";
import type { DeviceSummary } from "../contracts/device.js";
import type { Rollup } from "../contracts/rollup.js";

export type LiveEvent =
  | { type: "rollups"; rollups: readonly Rollup[] }
  | { type: "alert"; alert: Alert }
  | { type: "devices"; devices: readonly DeviceSummary[] };

/** Called synchronously inside `publish`. Must not throw: it would fail the commit that published. */
export type LiveListener = (event: LiveEvent) => void;

export class LiveFeed {
  readonly #listeners = new Set<LiveListener>();

  /** Hands the event to every listener before it returns. Costs nothing while nobody listens. */
  publish(event: LiveEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** @returns a function that ends the subscription; calling it again changes nothing */
  subscribe(listener: LiveListener): () => void {
    const entry: LiveListener = (event) => listener(event);
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }
}
