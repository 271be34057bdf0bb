/**
 * What the page knows. Written only by the session; components read it.
 */
import type { ApiAlert, ApiDeadLetterList, ApiInfo, ApiReadiness } from "../../api/schemas.js";
import { EMPTY_FLEET, type Fleet } from "./model/fleet.js";
import type { Sample } from "./model/rates.js";
import { parseRoute, type Route } from "./router.js";
import { createStore } from "./store.js";

export type Connection = { state: "connecting" } | { state: "live" } | { state: "lost"; retryAt: number };

export interface PageState {
  route: Route;
  connection: Connection;
  /** The gateway's clock as far as we know it, ticking every second. Epoch milliseconds. */
  now: number;
  info: ApiInfo | undefined;
  readiness: ApiReadiness | undefined;
  /** All counters of the latest stats, and the samples of the last minutes. */
  stats: Readonly<Record<string, unknown>>;
  samples: readonly Sample[];
  fleet: Fleet;
  /** False until devices were answered once: an empty fleet is news only then. */
  fleetKnown: boolean;
  /** Firing first. */
  alerts: readonly ApiAlert[];
  deadLetters: ApiDeadLetterList | undefined;
  /** What could not be loaded, in words, by what it is. */
  troubles: Readonly<Record<string, string>>;
}

export const page = createStore<PageState>({
  route: parseRoute(location.hash),
  connection: { state: "connecting" },
  now: Date.now(),
  info: undefined,
  readiness: undefined,
  stats: {},
  samples: [],
  fleet: EMPTY_FLEET,
  fleetKnown: false,
  alerts: [],
  deadLetters: undefined,
  troubles: {},
});
