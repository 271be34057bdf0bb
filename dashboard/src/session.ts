/**
 * Keeps the page's state true: follows the event stream, asks for what it cannot carry, and follows the hash.
 */
import type { ApiAlert, ApiStats } from "../../api/schemas.js";
import type { Rollup } from "../../contracts/rollup.js";
import { api, words } from "./api-client.js";
import { EventStream } from "./event-stream.js";
import { withAlerts } from "./model/alerts.js";
import { withDevices } from "./model/fleet.js";
import { sampleOf, withSample } from "./model/rates.js";
import { formatRoute, parseRoute, type Route } from "./router.js";
import { page } from "./state.js";

const READY_EVERY_MS = 10_000;
const DEAD_LETTERS_EVERY_MS = 3_000;
const ALERTS_EVERY_MS = 200;
const RETRY_MS = 5_000;

/** Told of every rollup of the device on screen; `undefined` means: events were missed, ask again. */
export type RollupListener = (rollups: readonly Rollup[] | undefined) => void;

const rollupListeners = new Set<RollupListener>();
let clockOffsetMs = 0;

const stream = new EventStream({
  rollups: (rollups) => {
    for (const listener of rollupListeners) listener(rollups);
  },
  alert: onAlert,
  devices: (devices) => page.set({ fleet: withDevices(page.get().fleet, devices), fleetKnown: true }),
  stats: onStats,
  opened: (fresh) => {
    page.set({ connection: { state: "live" } });
    if (fresh) void loadAll();
    // A stream just changed to this device's rollups starts now; what was before must be asked for.
    for (const listener of rollupListeners) listener(undefined);
  },
  lost: (retryInMs) => page.set({ connection: { state: "lost", retryAt: Date.now() + retryInMs } }),
});

/** Starts everything. Called once. */
export function startSession(): void {
  window.addEventListener("hashchange", followHash);
  followHash();
  setInterval(() => page.set({ now: Date.now() + clockOffsetMs }), 1_000);
  setInterval(() => void loadReadiness(), READY_EVERY_MS);
}

export function onRollups(listener: RollupListener): () => void {
  rollupListeners.add(listener);
  return () => void rollupListeners.delete(listener);
}

/** Goes to a route; `replace` leaves no entry in the history. */
export function navigate(route: Route, replace = false): void {
  if (replace) {
    history.replaceState(null, "", formatRoute(route));
    followHash();
  } else {
    location.hash = formatRoute(route);
  }
}

export function reconnectNow(): void {
  stream.retryNow();
}

function followHash(): void {
  const before = page.get().route;
  const route = parseRoute(location.hash);
  page.set({ route });
  const device = route.page === "device" ? route.device : undefined;
  stream.follow(device);
  const same = before.page === "device" && before.device === device;
  if (device !== undefined && !same) void loadAlerts({ device, limit: "200" });
}

async function loadAll(): Promise<void> {
  const { route } = page.get();
  await Promise.all([
    load("info", async () => page.set({ info: await api.info() })),
    load("devices", async () => {
      const { devices } = await api.devices();
      page.set({ fleet: withDevices(page.get().fleet, devices), fleetKnown: true });
    }),
    loadAlerts({ state: "firing", limit: "1000" }),
    loadAlerts({ limit: "200" }),
    ...(route.page === "device" ? [loadAlerts({ device: route.device, limit: "200" })] : []),
    loadDeadLetters(),
    loadReadiness(),
  ]);
}

function loadAlerts(query: Record<string, string>): Promise<void> {
  return load(`alerts ${new URLSearchParams(query)}`, async () => {
    const { alerts } = await api.alerts(query);
    page.set({ alerts: withAlerts(page.get().alerts, alerts) });
  });
}

function loadReadiness(): Promise<void> {
  return load("readiness", async () => page.set({ readiness: await api.ready() }));
}

function loadDeadLetters(): Promise<void> {
  return load("dead letters", async () => page.set({ deadLetters: await api.deadLetters() }));
}

const retries = new Map<string, ReturnType<typeof setTimeout>>();

/** Runs `work`; a failure is shown in words and tried again while the connection is up. */
async function load(what: string, work: () => Promise<void>): Promise<void> {
  clearTimeout(retries.get(what));
  try {
    await work();
    setTrouble(what, undefined);
  } catch (error) {
    setTrouble(what, words(error));
    const again = () => {
      if (page.get().connection.state === "live") void load(what, work);
    };
    retries.set(what, setTimeout(again, RETRY_MS));
  }
}

function setTrouble(what: string, trouble: string | undefined): void {
  const { [what]: known, ...others } = page.get().troubles;
  if (known === trouble) return;
  page.set({ troubles: trouble === undefined ? others : { ...others, [what]: trouble } });
}

let newAlerts: ApiAlert[] = [];

/** An outage raises thousands at once: they are shown together. */
function onAlert(alert: ApiAlert): void {
  newAlerts.push(alert);
  if (newAlerts.length > 1) return;
  setTimeout(() => {
    page.set({ alerts: withAlerts(page.get().alerts, newAlerts) });
    newAlerts = [];
  }, ALERTS_EVERY_MS);
}

let deadLettersAt = 0;
let deadLettersDue = false;

function onStats(stats: ApiStats): void {
  const { samples } = page.get();
  const sample = sampleOf(stats);
  const last = samples[samples.length - 1];
  clockOffsetMs = sample.now - Date.now();
  page.set({ stats, samples: withSample(samples, sample), now: sample.now });
  const more = last !== undefined && last.counters.invalid !== sample.counters.invalid;
  if (more) deadLettersDue = true;
  if (deadLettersDue && Date.now() - deadLettersAt >= DEAD_LETTERS_EVERY_MS) {
    deadLettersDue = false;
    deadLettersAt = Date.now();
    void loadDeadLetters();
  }
}
