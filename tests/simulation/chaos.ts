/**
 * What happens to the processes, the clocks and the data of a world, one event after the other at random moments.
 */
import { type ReadingRecord, readingId } from "../../contracts/reading.js";
import { TOPICS } from "../../contracts/topics.js";
import { NO_TROUBLE } from "./trouble.js";
import { PARTITIONS, type World } from "./world.js";

const MINUTE_MS = 60_000;

/** Each leaves the world with its gateways and its processor running. */
const EVENTS = {
  /** kill -9 of a gateway. */
  async "gateway crash"(world: World): Promise<void> {
    const machine = world.gateways.pick();
    world.gateways.kill(machine);
    await world.clock.sleep(world.rng.int(5_000));
    world.gateways.start(machine);
  },

  /** kill -9 of the processor. */
  async "processor crash"(world: World): Promise<void> {
    world.killProcessor();
    await world.clock.sleep(world.rng.int(10_000));
    await startProcessor(world);
  },

  /** SIGTERM of the processor, which commits on its way out if it can. */
  async "processor stop"(world: World): Promise<void> {
    await world.stopProcessor();
    await world.clock.sleep(world.rng.int(10_000));
    await startProcessor(world);
  },

  /** The clock of one gateway's machine jumps ahead or back. */
  async "clock step"({ rng, gateways }: World): Promise<void> {
    gateways.setClockError(gateways.pick(), rng.pick([-30, -6, -0.1, 0, 0.1, 6, 30, 1_440]) * MINUTE_MS);
  },

  /** Somebody else writes to `telemetry.readings`: mostly what is no reading. */
  async "foreign record"(world: World): Promise<void> {
    const { rng, clock } = world;
    const value = rng.next() < 0.2 ? foreignReading(world) : rng.pick(POISON);
    const key = value.startsWith('{"v":1') ? "foreign" : `d${rng.int(5)}`;
    await world
      .openLog()
      .append(TOPICS.readings, [{ key, value: Buffer.from(value), timestamp: clock.now() }]);
  },

  /** A state entry becomes unreadable while the processor is down. */
  async "state corruption"(world: World): Promise<void> {
    const { rng } = world;
    world.killProcessor();
    const tasks = [...world.state.tasks.values()].filter(({ state }) => state.size > 0);
    if (tasks.length > 0) {
      const { state } = rng.pick(tasks);
      const [key, bytes] = rng.pick([...state]);
      state.set(key, rng.next() < 0.5 ? bytes.slice(0, rng.int(bytes.length)) : new Uint8Array(bytes.length));
    }
    await startProcessor(world);
  },

  /**
   * Retention removes the beginning of the log while the processor is down, also what it has not processed. All that
   * came before is processed and committed first, so that what is lost is known exactly.
   */
  async retention(world: World): Promise<void> {
    const { rng, clock, gateways, trouble } = world;
    for (let machine = 0; machine < gateways.count; machine++) gateways.kill(machine);
    world.trouble = NO_TROUBLE;
    while (!allCommitted(world)) await clock.sleep(200);
    await world.stopProcessor();
    world.trouble = trouble;
    for (let machine = 0; machine < gateways.count; machine++) gateways.start(machine);
    await clock.sleep(rng.int(20_000));
    for (let partition = 0; partition < PARTITIONS; partition++) expire(world, partition);
    await startProcessor(world);
  },
};
export type EventKind = keyof typeof EVENTS;
export const EVENT_KINDS = Object.keys(EVENTS) as EventKind[];

const POISON = [
  "not json",
  "",
  "null",
  "[]",
  '{"v":2,"id":"0123456789abcdef","deviceId":"d0","ts":1,"ingestTs":1,"values":{"t":1}}',
  '{"v":1,"id":"d0","deviceId":"d0","ts":1,"ingestTs":1,"values":{"t":1}}',
  '{"v":1,"id":"0123456789abcdef","deviceId":"no such name!","ts":1,"ingestTs":1,"values":{"t":1}}',
  '{"v":1,"id":"0123456789abcdef","deviceId":"d0","ts":1.5,"ingestTs":1,"values":{"t":1}}',
  '{"v":1,"id":"0123456789abcdef","deviceId":"d0","ts":1,"ingestTs":1,"values":{"t":"1"}}',
  '{"v":1,"id":"0123456789abcdef","deviceId":"d0","ts":1,"ingestTs":1,"values":{"__proto__":1}}',
  '{"v":1,"id":"0123456789abcdef","deviceId":"d0","ts":1,"ingestTs":1}',
];

/** A good record of a device that no gateway has seen; its clock may be years ahead. */
function foreignReading({ rng, clock }: World): string {
  const ts = clock.now() + rng.pick([0, 0, 1e11]);
  const reading = { deviceId: "foreign", ts, values: { t: rng.next() } };
  const record: ReadingRecord = { v: 1, id: readingId(reading, ""), ingestTs: clock.now(), ...reading };
  return JSON.stringify(record);
}

/** More events than this in one world show nothing new, and some worlds would never get anything done. */
const MAX_EVENTS = 12;

/** Lets `kinds` of events happen about every `meanMs` until told to stop. */
export async function chaos(
  world: World,
  kinds: readonly EventKind[],
  meanMs: number,
  running: () => boolean,
): Promise<void> {
  const { rng, clock } = world;
  for (let events = 0; events < MAX_EVENTS && running(); events++) {
    await clock.sleep(1 + rng.int(2 * meanMs));
    const kind = rng.pick(kinds);
    world.faults.add(kind);
    await EVENTS[kind](world);
  }
}

/** As a supervisor would: tries again until it starts. */
export async function startProcessor(world: World): Promise<void> {
  for (;;) {
    try {
      return await world.startProcessor();
    } catch {
      world.killProcessor();
      await world.clock.sleep(1_000);
    }
  }
}

function allCommitted(world: World): boolean {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { earliest, records } = world.logData.partition(TOPICS.readings, partition);
    const next = (records.at(-1)?.offset ?? earliest - 1) + 1;
    if (Math.max(earliest, world.committed(partition) ?? 0) < next) return false;
  }
  return true;
}

function expire(world: World, partition: number): void {
  const { earliest, records } = world.logData.partition(TOPICS.readings, partition);
  const committed = world.committed(partition);
  // Without a commit nobody knows of the records, and nobody is told.
  if (committed === undefined || records.length === 0) return;
  const to = earliest + world.rng.int(records.length + 1);
  const from = Math.max(earliest, committed);
  world.expired.push(...records.filter(({ offset }) => offset < to));
  if (to > from) world.lost.push({ partition, from, to });
  world.logData.deleteBefore(TOPICS.readings, partition, to);
}
