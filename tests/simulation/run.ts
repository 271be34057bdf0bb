/**
 * One seed: devices publish while everything around them fails and recovers, then everything is judged.
 */
import { chaos, EVENT_KINDS, type EventKind, startProcessor } from "./chaos.js";
import { checkWorld } from "./check.js";
import { Device, type SentMessage } from "./devices.js";
import { NO_TROUBLE, type Trouble } from "./trouble.js";
import { World } from "./world.js";

const HOUR_MS = 3_600_000;

/** What a run did, for the summary of many. */
export interface Outcome {
  readings: number;
  /** Of the virtual time that passed, in milliseconds. */
  virtualMs: number;
  /** How often each kind of fault happened. */
  faults: Record<string, number>;
}

/** What a seed's world is like: each seed gets some kinds of trouble and not others, so that each is met alone too. */
interface Plan {
  trouble: Trouble;
  events: EventKind[];
  eventMeanMs: number;
  gateways: number;
  devices: number;
  readingsPerDevice: number;
  gapMs: number;
}

function planOf({ rng }: World): Plan {
  const often = (kind: EventKind) => rng.next() < (kind.endsWith("crash") ? 0.7 : 0.3);
  let events = EVENT_KINDS.filter(often);
  // A rebuild needs the whole log.
  if (events.includes("retention")) events = events.filter((kind) => kind !== "state corruption");
  const gapMs = rng.pick([20, 200, 3_000]);
  const readingsPerDevice = 5 + rng.int(30);
  return {
    trouble: {
      failure: rng.pick([0, 0.05, 0.2]),
      maxDelayMs: rng.pick([0, 0, 50, 1_000]),
      torn: rng.pick([0, 0.1]),
      repeated: rng.pick([0, 0, 0.1]),
    },
    events,
    eventMeanMs: 1 + (gapMs * readingsPerDevice) / (1 + rng.int(8)),
    gateways: 1 + rng.int(2),
    devices: 1 + rng.int(4),
    readingsPerDevice,
    gapMs,
  };
}

/** @throws AssertionError when a promise is broken, Error when the world stands still */
export async function runSeed(seed: number): Promise<Outcome> {
  const world = new World(seed);
  const { clock } = world;
  const startMs = clock.now();
  const ledger = await live(world, planOf(world));
  const appended = world.appended().length;
  await checkWorld(world, ledger);
  return { readings: appended, virtualMs: clock.now() - startMs, faults: world.faults.counts };
}

/** Lets the world run until all devices are done and the processor has caught up. */
async function live(world: World, plan: Plan): Promise<SentMessage[]> {
  const { clock } = world;
  await world.prepare();
  for (let i = 0; i < plan.gateways; i++) world.gateways.add();
  await startProcessor(world);
  world.trouble = plan.trouble;

  const ledger: SentMessage[] = [];
  const devices = Array.from({ length: plan.devices }, (_, i) =>
    new Device(world, `d${i}`, ledger).run(plan.readingsPerDevice, plan.gapMs),
  );
  const publishing = pending(Promise.all(devices));
  const unsettled =
    plan.events.length === 0 ? () => false : pending(chaos(world, plan.events, plan.eventMeanMs, publishing));
  await clock.runUntil(() => !publishing(), 48 * HOUR_MS);
  world.trouble = NO_TROUBLE;
  await clock.runUntil(() => !unsettled() && world.gateways.idle(), HOUR_MS);
  await world.caughtUp();
  return ledger;
}

/** Whether a promise has not resolved yet; its rejection is thrown by the next call. */
function pending(promise: Promise<unknown>): () => boolean {
  let state: "pending" | "done" | { error: unknown } = "pending";
  promise.then(
    () => {
      state = "done";
    },
    (error: unknown) => {
      state = { error };
    },
  );
  return () => {
    if (typeof state === "object") throw state.error;
    return state === "pending";
  };
}
