/**
 * kill -9 at every await: no notification is lost, and none goes out under another id.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Channel, ChannelError, type Notification } from "../contracts/ports/channel.js";
import { TOPICS } from "../contracts/topics.js";
import { type Faults, MemoryLog, MemoryLogData } from "../testkit/memory-log.js";
import { MemoryStateData } from "../testkit/memory-state.js";
import { VirtualClock } from "../testkit/virtual-clock.js";
import { ALERT_COMMANDS, commandRecord } from "./commands.js";
import { appendAlerts, firing, MINUTE, resolved, startProcess, T0, type World } from "./testing/support.js";

const PARTS = { route: { receiver: "ops", group_wait: "10s", group_interval: "1m", repeat_interval: "6m" } };
const TOPIC_SPECS = [{ name: TOPICS.alerts, partitions: 3 }, ALERT_COMMANDS];

/** Counts the places at which a process can die, and kills it at one of them. */
class Guillotine implements Faults {
  steps = 0;
  killAt = Number.POSITIVE_INFINITY;
  onKill: () => void = () => undefined;

  async before(): Promise<void> {
    await this.place();
  }

  async after(): Promise<void> {
    await this.place();
  }

  /** Never returns when this is where it dies. */
  async place(): Promise<void> {
    await null;
    if (++this.steps !== this.killAt) return;
    this.onKill();
    await new Promise(() => undefined);
  }
}

/** Runs one story with the process killed at its `killAt`-th place; returns what the other side got. */
async function story(
  killAt: number,
): Promise<{ got: Notification[]; steps: number; killed: boolean; ids: Set<string> }> {
  const guillotine = new Guillotine();
  guillotine.killAt = killAt;
  const world: World = {
    clock: new VirtualClock(T0),
    log: new MemoryLogData(),
    state: new MemoryStateData(),
  };
  // Producers are other processes: they do not die here.
  const producer = new MemoryLog(world.log, (key, partitions) => key.length % partitions);
  await producer.ensureTopics(TOPIC_SPECS);
  const got: Notification[] = [];
  let refusals = 2;
  const send: Channel["send"] = async (notification) => {
    await guillotine.place();
    if (refusals-- > 0) throw new ChannelError("SERVER_ERROR", "down");
    got.push(notification);
    await guillotine.place();
  };
  let killed = false;
  let running = startProcess({ ...world, faults: guillotine }, PARTS, send);
  guillotine.onKill = () => {
    killed = true;
    running.kill();
    running = startProcess({ ...world, faults: guillotine }, PARTS, send);
  };
  const at = () => world.clock.now();
  const a = firing();
  const b = firing({ device: "d22" });
  const c = firing({ device: "d333" });
  await appendAlerts(producer, at(), a, b);
  await world.clock.advance(30_000);
  const silence = { v: 1, kind: "silence", id: "s", matchers: { device: "d333" }, author: "eve" } as const;
  const record = commandRecord({ ...silence, start: T0, end: T0 + 10 * MINUTE }, at());
  await producer.append(ALERT_COMMANDS.name, [record]);
  await world.clock.advance(5_000);
  await appendAlerts(producer, at(), c, resolved(a));
  await world.clock.advance(5 * MINUTE);
  await appendAlerts(producer, at(), resolved(b));
  await world.clock.advance(10 * MINUTE);
  const { pending, groups } = running.notifier.snapshot();
  assert.deepEqual(pending, [], "something is still pending");
  assert.deepEqual(
    groups.map(({ alerts }) => alerts),
    [[c.id]],
  );
  const close = running.notifier.close();
  await world.clock.advance(MINUTE);
  await close;
  return { got, steps: guillotine.steps, killed, ids: new Set(got.map(({ id }) => id)) };
}

const contents = (got: readonly Notification[]) =>
  new Set(got.flatMap(({ alerts }) => alerts.map(({ device, state }) => `${device} ${state}`)));

/** What goes out under another id says something that no id before it said; what has the same id is the same. */
function assertNothingToldTwice(got: readonly Notification[], killAt: number): void {
  const byId = new Map<string, Notification>();
  const told = new Set<string>();
  for (const notification of got) {
    const known = byId.get(notification.id);
    assert.deepEqual(notification, known ?? notification, "same id, other content");
    if (known) continue;
    byId.set(notification.id, notification);
    const states = notification.alerts.map(({ id, state }) => `${id} ${state}`);
    const isNews = notification.cause === "repeat" || states.some((state) => !told.has(state));
    assert.ok(isNews, `killed at place ${killAt}: told again under another id`);
    for (const state of states) told.add(state);
  }
}

test("killed at any await, everything is told, under the ids that were committed", {
  timeout: 300_000,
}, async () => {
  const calm = await story(Number.POSITIVE_INFINITY);
  assert.deepEqual([...contents(calm.got)].sort(), [
    "d1 firing",
    "d1 resolved",
    "d22 firing",
    "d22 resolved",
    "d333 firing",
  ]);
  assert.equal(calm.ids.size, calm.got.length, "without a crash nothing is sent twice");
  assert.ok(calm.steps > 20, `only ${calm.steps} places to die at`);
  let repeated = 0;
  for (let killAt = 1; killAt <= calm.steps; killAt++) {
    const { got, ids, killed } = await story(killAt);
    assert.ok(killed, `was not killed at place ${killAt}`);
    assert.deepEqual(contents(got), contents(calm.got), `killed at place ${killAt}`);
    // One crash repeats at most what was on its way, and as what it was.
    assert.ok(got.length - ids.size <= 1, `killed at place ${killAt}: ${got.length} sent, ${ids.size} ids`);
    repeated += got.length - ids.size;
    assertNothingToldTwice(got, killAt);
  }
  assert.ok(
    repeated > 0,
    "no kill fell between sending and the commit of it: the test misses what it is for",
  );
});
