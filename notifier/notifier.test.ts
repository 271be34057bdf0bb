/**
 * The running notifier: retries, rate limits, dead letters, standing by, fencing, damage, and what it shows of itself.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { ChannelError, type Notification } from "../contracts/ports/channel.js";
import { TOPICS } from "../contracts/topics.js";
import { type Faults, MemoryLog, MemoryLogData } from "../testkit/memory-log.js";
import { MemoryCheckpoints, MemoryStateData } from "../testkit/memory-state.js";
import { VirtualClock } from "../testkit/virtual-clock.js";
import { ALERT_COMMANDS, type AlertCommand, commandRecord, silenceId } from "./commands.js";
import { NOTIFIER_GROUP } from "./notifier.js";
import {
  appendAlerts,
  firing,
  HOUR,
  MINUTE,
  resolved,
  SECOND,
  startProcess,
  T0,
  type World,
} from "./testing/support.js";

const QUICK = { route: { receiver: "ops", group_by: ["device"], group_wait: 0, group_interval: "1m" } };
const TASK = { group: NOTIFIER_GROUP, topic: ALERT_COMMANDS.name, partition: 0 };

async function world(): Promise<World & { producer: MemoryLog }> {
  const made = { clock: new VirtualClock(T0), log: new MemoryLogData(), state: new MemoryStateData() };
  const producer = new MemoryLog(made.log, (key, partitions) => key.length % partitions);
  await producer.ensureTopics([{ name: TOPICS.alerts, partitions: 3 }]);
  return { ...made, producer };
}

/** Starts a process, closed with the test. */
function start(
  t: TestContext,
  w: World,
  ...rest: Parameters<typeof startProcess> extends [World, ...infer R] ? R : never
) {
  const running = startProcess(w, ...rest);
  t.after(async () => {
    const closed = running.notifier.close();
    await w.clock.advance(10 * SECOND);
    await closed;
  });
  return running;
}

async function metric(registry: { metrics(): Promise<string> }, name: string): Promise<string[]> {
  return (await registry.metrics()).split("\n").filter((line) => line.startsWith(name));
}

test("a channel that is down is tried again with growing waits, until it takes it", async (t) => {
  const w = await world();
  const attempts: number[] = [];
  const ids = new Set<string>();
  const { registry } = start(t, w, QUICK, async ({ id }) => {
    attempts.push(w.clock.now() - T0);
    ids.add(id);
    if (attempts.length < 5) throw new ChannelError("SERVER_ERROR", "down");
  });
  await appendAlerts(w.producer, T0, firing());
  await w.clock.advance(MINUTE);
  assert.deepEqual(attempts, [0, 1_000, 3_000, 7_000, 15_000]);
  assert.equal(ids.size, 1);
  assert.deepEqual(await metric(registry, "sluice_notifications_failed_total"), [
    'sluice_notifications_failed_total{channel="ops/test"} 4',
    'sluice_notifications_failed_total{channel="boss/test"} 0',
  ]);
  assert.match((await metric(registry, "sluice_notifications_sent_total"))[0]!, / 1$/);
});

test("it waits as long as the other side asks for", async (t) => {
  const w = await world();
  const attempts: number[] = [];
  start(t, w, QUICK, async () => {
    attempts.push(w.clock.now() - T0);
    if (attempts.length === 1) throw new ChannelError("RATE_LIMITED", "slow down", { retryAfterMs: 20_000 });
  });
  await appendAlerts(w.producer, T0, firing());
  await w.clock.advance(MINUTE);
  assert.deepEqual(attempts, [0, 20_000]);
});

test("a channel that never answers is given up on after the timeout, and tried again", async (t) => {
  const w = await world();
  let attempts = 0;
  start(t, w, { ...QUICK, retry: { timeout: "5s" } }, async () => {
    if (++attempts === 1) await new Promise(() => undefined);
  });
  await appendAlerts(w.producer, T0, firing());
  await w.clock.advance(4_999);
  assert.equal(attempts, 1);
  await w.clock.advance(2_000);
  assert.equal(attempts, 2);
});

test("a refusal, too many attempts and too great an age end in the dead-letter callback, and are counted", async (t) => {
  const permanent = new ChannelError("REJECTED", "no such room");
  const passing = new ChannelError("UNREACHABLE", "no route");
  const cases: [object, Error, RegExp][] = [
    [{}, permanent, /^REJECTED: no such room$/],
    [{ max_attempts: 3 }, passing, /^given up after 3 attempts: UNREACHABLE: no route$/],
    [{ max_age: "10s" }, passing, /^given up after 4 attempts/],
    [
      { max_attempts: 2 },
      new TypeError("secret in a bug"),
      /^given up after 2 attempts: unexpected TypeError$/,
    ],
  ];
  for (const [retry, error, reason] of cases) {
    const w = await world();
    const dead: [Notification, string][] = [];
    let refusals = 2;
    const { registry, notifier } = start(
      t,
      w,
      { ...QUICK, retry },
      async () => Promise.reject(error),
      (...letter) => {
        if (refusals-- > 0) throw new Error("the disk is full");
        dead.push(letter);
      },
    );
    await appendAlerts(w.producer, T0, firing());
    await w.clock.advance(2 * MINUTE);
    assert.equal(dead.length, 1);
    assert.match(dead[0]![1], reason);
    assert.equal(dead[0]![0].alerts[0]!.id, firing().id);
    assert.deepEqual(notifier.snapshot().pending, []);
    assert.match((await metric(registry, "sluice_notifications_dead_total"))[0]!, /"ops\/test"} 1$/);
  }
});

test("over the rate limit notifications wait for their turn, oldest first; other channels do not", async (t) => {
  const w = await world();
  const sent: [string, string, number][] = [];
  const receivers = [
    { name: "ops", channels: [{ type: "test", rate_limit: { count: 2, per: "10s" } }] },
    { name: "boss", channels: [{ type: "test" }] },
  ];
  const route = { ...QUICK.route, routes: [{ receiver: "boss", continue: true }, {}] };
  start(t, w, { receivers, route }, async ({ receiver, groupLabels }) => {
    sent.push([receiver, groupLabels.device!, w.clock.now() - T0]);
  });
  for (let i = 1; i < 6; i++) {
    await appendAlerts(w.producer, w.clock.now(), firing({ device: `d${i}` }));
    await w.clock.advance(1);
  }
  await w.clock.advance(MINUTE);
  const to = (receiver: string) => sent.filter(([name]) => name === receiver);
  assert.deepEqual(
    to("ops").map(([, device]) => device),
    ["d1", "d2", "d3", "d4", "d5"],
  );
  assert.ok(to("ops")[2]![2] >= 5_000 && to("ops")[4]![2] >= 15_000, JSON.stringify(to("ops")));
  assert.ok(
    to("boss").every(([, , at]) => at < 10),
    JSON.stringify(to("boss")),
  );
});

test("one process notifies, another stands by and takes over with the state", async (t) => {
  const w = await world();
  const sent: string[] = [];
  const first = startProcess(w, QUICK, async ({ id }) => void sent.push(`first ${id}`));
  const second = start(t, w, QUICK, async ({ id }) => void sent.push(`second ${id}`));
  await w.clock.advance(MINUTE);
  assert.deepEqual([first.notifier.snapshot().active, second.notifier.snapshot().active], [true, false]);
  assert.deepEqual(await metric(second.registry, "sluice_notifier_active"), ["sluice_notifier_active 0"]);
  const ack: AlertCommand = { v: 1, kind: "ack", id: "a1", author: "eve", comment: "on it", at: T0 };
  await w.producer.append(ALERT_COMMANDS.name, [commandRecord(ack, T0)]);
  await w.clock.advance(SECOND);
  const closed = first.notifier.close();
  await w.clock.advance(20 * SECOND);
  await closed;
  assert.equal(second.notifier.snapshot().active, true);
  assert.deepEqual(second.notifier.snapshot().acks, [{ id: "a1", author: "eve", comment: "on it", at: T0 }]);
  await appendAlerts(w.producer, w.clock.now(), firing());
  await w.clock.advance(MINUTE);
  assert.equal(sent.length, 1);
  assert.match(sent[0]!, /^second /);
  const { offset, state } = w.state.tasks.get(`${TASK.group} ${TASK.topic} ${TASK.partition}`)!;
  assert.equal(offset, 1);
  const positions = JSON.parse(Buffer.from(state.get("#positions")!).toString());
  assert.deepEqual(
    positions,
    [0, 1, 2].map((partition) => [partition, partition === "d1".length % 3 ? 1 : 0]),
  );
});

test("closing lets an attempt under way end, and remembers that it did", async (t) => {
  const w = await world();
  let release: () => void = () => undefined;
  let sends = 0;
  const { notifier } = startProcess(w, QUICK, () => {
    sends++;
    return new Promise<void>((resolve) => {
      release = resolve;
    });
  });
  await appendAlerts(w.producer, T0, firing());
  await w.clock.advance(SECOND);
  const closed = notifier.close();
  await w.clock.advance(SECOND);
  release();
  await w.clock.advance(SECOND);
  await closed;
  start(t, w, QUICK, async () => void sends++);
  await w.clock.advance(10 * SECOND);
  assert.equal(sends, 1);
});

test("closing does not wait for ever for an attempt that hangs: it is made again, with the same id", async (t) => {
  const w = await world();
  const ids: string[] = [];
  const { notifier } = startProcess(w, QUICK, ({ id }) => {
    ids.push(id);
    return new Promise(() => undefined);
  });
  await appendAlerts(w.producer, T0, firing());
  await w.clock.advance(SECOND);
  const closed = notifier.close();
  await w.clock.advance(10 * SECOND);
  await closed;
  start(t, w, QUICK, async ({ id }) => void ids.push(id));
  await w.clock.advance(SECOND);
  assert.equal(ids.length, 2);
  assert.equal(ids[0], ids[1]);
});

test("a store that is away is waited for: nothing is sent before it is committed", async (t) => {
  const { SluiceError } = await import("../contracts/errors.js");
  const w = await world();
  let isAway = true;
  const faults: Faults = {
    async before(operation) {
      if (isAway && operation === "checkpoint.outputs") throw new SluiceError("STORE_UNAVAILABLE", "away");
    },
    after: async () => undefined,
  };
  let sends = 0;
  start(t, { ...w, faults }, QUICK, async () => void sends++);
  await appendAlerts(w.producer, T0, firing());
  await w.clock.advance(MINUTE);
  assert.equal(sends, 0);
  isAway = false;
  await w.clock.advance(10 * SECOND);
  assert.equal(sends, 1);
});

test("records that are no alert and no command are counted and passed over", async (t) => {
  const w = await world();
  let sends = 0;
  const { registry, notifier } = start(t, w, QUICK, async () => void sends++);
  await w.clock.advance(SECOND);
  const junk = [
    "",
    "{",
    "null",
    '{"v":2}',
    JSON.stringify({ ...firing(), device: "a b" }),
    JSON.stringify({ ...firing(), state: "odd" }),
  ];
  for (const text of junk) {
    await w.producer.append(TOPICS.alerts, [{ key: "d1", value: Buffer.from(text), timestamp: T0 }]);
    await w.producer.append(ALERT_COMMANDS.name, [{ key: "d1", value: Buffer.from(text), timestamp: T0 }]);
  }
  await appendAlerts(w.producer, T0, firing());
  await w.clock.advance(SECOND);
  assert.equal(sends, 1);
  assert.equal(notifier.snapshot().active, true);
  assert.deepEqual(await metric(registry, "sluice_notifications_suppressed_total"), [
    `sluice_notifications_suppressed_total{why="unreadable"} ${2 * junk.length}`,
  ]);
});

test("a first start tells of what still fires of the last hour, not of what is older", async (t) => {
  const w = await world();
  await appendAlerts(w.producer, T0 - 2 * HOUR, firing({ device: "d1", startedAt: T0 - 2 * HOUR }));
  const recent = firing({ device: "d2", startedAt: T0 - MINUTE });
  await appendAlerts(w.producer, T0 - MINUTE, recent);
  const told: string[] = [];
  start(t, w, QUICK, async ({ groupLabels }) => void told.push(groupLabels.device!));
  await w.clock.advance(HOUR);
  assert.deepEqual(told, ["d2"]);
});

test("a log that is replayed into the topic wakes nobody again", async (t) => {
  const w = await world();
  let sends = 0;
  start(t, w, QUICK, async () => void sends++);
  const episodes = Array.from({ length: 5 }, (_, i) => firing({ startedAt: T0 + i * MINUTE }));
  const transitions = episodes.flatMap((alert) => [alert, resolved(alert, alert.startedAt + 30_000)]);
  for (const transition of transitions) {
    await appendAlerts(w.producer, w.clock.now(), transition);
    await w.clock.advance(5 * MINUTE);
  }
  await w.clock.advance(5 * HOUR);
  const before = sends;
  await appendAlerts(w.producer, w.clock.now(), ...transitions);
  await w.clock.advance(HOUR);
  assert.equal(before, 10);
  assert.equal(sends, before);
});

test("state that cannot be read is left behind, and the commands of the log are followed again", async (t) => {
  const w = await world();
  const silence = { matchers: { device: "d9" }, start: T0, end: T0 + HOUR, author: "eve" };
  const command = { v: 1, kind: "silence", id: silenceId(silence), ...silence } as const;
  const first = startProcess(w, QUICK, async () => undefined);
  await w.clock.advance(SECOND);
  await w.producer.append(ALERT_COMMANDS.name, [commandRecord(command, T0)]);
  await w.clock.advance(SECOND);
  first.kill();
  const state = new Map([["alert/x", Buffer.from("{")]]);
  await new MemoryCheckpoints(w.state, "atomic").commit(
    TASK,
    { offset: 1, state },
    { rollups: [], alerts: [], devices: [] },
  );
  const { notifier } = start(t, w, QUICK, async () => undefined);
  await w.clock.advance(SECOND);
  assert.deepEqual(
    notifier.snapshot().silences.map(({ id, comment }) => [id, comment]),
    [[command.id, ""]],
  );
});

test("alerts that retention removed while nobody ran are passed over", async (t) => {
  const w = await world();
  const first = startProcess(w, QUICK, async () => undefined);
  await w.clock.advance(SECOND);
  first.kill();
  for (let i = 1; i < 4; i++) await appendAlerts(w.producer, w.clock.now(), firing({ startedAt: T0 + i }));
  w.log.deleteBefore(TOPICS.alerts, "d1".length % 3, 2);
  let seen = 0;
  start(t, w, QUICK, async ({ firing }) => {
    seen += firing;
  });
  await w.clock.advance(MINUTE);
  assert.equal(seen, 1);
});
