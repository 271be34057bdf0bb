/**
 * The rules of telling: grouping, repeats, ends, storms, restarts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Alert } from "../../contracts/alert.js";
import { MAX_ALERTS_SHOWN, type Notification } from "../../contracts/ports/channel.js";
import { CoreHarness, firing, HOUR, MINUTE, resolved, SECOND, T0 } from "../testing/support.js";

const silence = (parts: object = {}) => ({
  ...({ v: 1, kind: "silence", id: "s1", author: "eve", comment: "" } as const),
  ...{ matchers: { device: "d1" }, start: T0, end: T0 + HOUR },
  ...parts,
});
const told = ({ cause, alerts }: Notification) => [
  cause,
  ...alerts.map(({ device, state }) => `${device} ${state}`),
];
const whys = ({ outputs }: CoreHarness) =>
  outputs.map((output) => (output.kind === "suppressed" ? output.why : output.kind));

test("a group waits group_wait for more of its kind, then is told at once", () => {
  const core = new CoreHarness();
  core.alert(firing());
  core.pass(20 * SECOND);
  core.alert(firing({ device: "d2" }));
  core.pass(10 * SECOND - 1);
  assert.equal(core.sent.length, 0);
  core.pass(1);
  assert.deepEqual(core.sent.map(told), [["new", "d1 firing", "d2 firing"]]);
  assert.equal(core.sent[0]!.createdAt, T0 + 30 * SECOND);
  assert.deepEqual(core.sent[0]!.groupLabels, { rule: "hot" });
});

test("what joins later is told after group_interval, with what still fires", () => {
  const core = new CoreHarness();
  core.alert(firing());
  core.pass(MINUTE);
  core.alert(firing({ device: "d2" }));
  core.pass(HOUR);
  assert.deepEqual(core.sent.map(told), [
    ["new", "d1 firing"],
    ["new", "d1 firing", "d2 firing"],
  ]);
  assert.equal(core.sent[1]!.createdAt, T0 + 30 * SECOND + 5 * MINUTE);
});

test("groups are apart by group_by, and by route", () => {
  const core = new CoreHarness({
    route: {
      receiver: "ops",
      group_by: ["device"],
      routes: [
        { matchers: { severity: "critical" }, receiver: "boss", group_wait: 0, continue: true },
        { matchers: { severity: ["crit*", "info"] }, group_by: [] },
      ],
    },
  });
  core.alert(firing(), firing({ device: "d2" }), firing({ device: "d3", severity: "critical" }));
  core.pass(MINUTE);
  const byReceiver = core.sent.map(({ receiver, groupLabels, alerts }) => [
    receiver,
    groupLabels,
    alerts[0]!.device,
  ]);
  assert.deepEqual(byReceiver, [
    ["boss", { device: "d3" }, "d3"],
    ["ops", { device: "d1" }, "d1"],
    ["ops", { device: "d2" }, "d2"],
    ["ops", {}, "d3"],
  ]);
});

test("what still fires is told again after repeat_interval, under another id", () => {
  const core = new CoreHarness();
  core.alert(firing());
  core.pass(9 * HOUR);
  assert.deepEqual(core.sent.map(told), [
    ["new", "d1 firing"],
    ["repeat", "d1 firing"],
    ["repeat", "d1 firing"],
  ]);
  assert.equal(new Set(core.sent.map(({ id }) => id)).size, 3);
});

test("an end is told to those who were told of the alert; then the group is forgotten", () => {
  const core = new CoreHarness();
  const alert = firing();
  core.alert(alert);
  core.pass(MINUTE);
  core.alert(resolved(alert), resolved(alert));
  core.pass(HOUR);
  assert.deepEqual(core.sent.map(told), [
    ["new", "d1 firing"],
    ["resolved", "d1 resolved"],
  ]);
  assert.equal(core.sent[1]!.status, "resolved");
  assert.equal(core.core.state.groups.size, 0);
  core.pass(2 * HOUR);
  assert.equal(core.core.state.alerts.size, 0);
});

test("without send_resolved ends are not told", () => {
  const channels = [{ type: "test", send_resolved: false }];
  const core = new CoreHarness({ receivers: [{ name: "ops", channels }] });
  core.alert(firing());
  core.pass(MINUTE);
  core.alert(resolved(firing()));
  core.pass(HOUR);
  assert.deepEqual(core.sent.map(told), [["new", "d1 firing"]]);
  assert.equal(core.core.state.groups.size, 0);
});

test("an alert that ended before anybody was told is told as ended, unless notify_brief is off", () => {
  for (const notify_brief of [true, false]) {
    const core = new CoreHarness({ route: { receiver: "ops", notify_brief } });
    core.alert(firing(), resolved(firing(), T0 + SECOND));
    core.pass(HOUR);
    assert.deepEqual(core.sent.map(told), notify_brief ? [["new", "d1 resolved"]] : []);
    assert.deepEqual(whys(core), notify_brief ? [] : ["brief"]);
    assert.equal(core.core.state.members.size, 0);
  }
});

test("a flapping alert is told once per group_interval, with all its episodes", () => {
  const core = new CoreHarness();
  for (let second = 0; second < 600; second += 10) {
    const alert = firing({ startedAt: T0 + second * SECOND });
    core.alert(alert);
    core.pass(5 * SECOND);
    core.alert(resolved(alert, alert.startedAt + 5 * SECOND));
    core.pass(5 * SECOND);
  }
  core.pass(HOUR);
  assert.equal(core.sent.length, 3);
  const episodes = new Set(core.sent.flatMap(({ alerts }) => alerts.map(({ id }) => id)));
  assert.equal(episodes.size, 60);
});

test("repeats and older records of the log are no news", () => {
  const core = new CoreHarness();
  const alert = firing();
  core.alert(alert, alert);
  core.pass(MINUTE);
  core.alert(alert, resolved(alert), alert, resolved(alert));
  core.pass(HOUR);
  core.alert(alert, resolved(alert));
  core.pass(HOUR);
  assert.equal(core.sent.length, 2);
});

test("an end whose beginning was never seen is not told", () => {
  const core = new CoreHarness();
  core.alert(resolved(firing()));
  core.pass(HOUR);
  assert.deepEqual(core.sent, []);
});

test("while a channel is down, what happens waits for one notification and then comes in one", () => {
  const core = new CoreHarness();
  core.alert(firing());
  core.isDown = true;
  core.pass(HOUR);
  for (let i = 2; i < 9; i++) core.alert(firing({ device: `d${i}` }));
  core.alert(resolved(firing({ device: "d2" })), resolved(firing()));
  core.pass(HOUR);
  assert.equal(core.core.state.pending.size, 1);
  core.isDown = false;
  core.pass(0);
  assert.deepEqual(told(core.sent[0]!), ["new", "d1 firing"]);
  assert.equal(core.sent.length, 2);
  assert.equal(core.sent[1]!.firing, 6);
  assert.equal(core.sent[1]!.resolved, 2);
});

test("a person gets one message about a storm; a program gets every alert", () => {
  const storm = Array.from({ length: 250 }, (_, i) => firing({ device: `d${i}` }));
  const person = new CoreHarness();
  person.alert(...storm);
  person.pass(HOUR);
  assert.equal(person.sent.length, 1);
  assert.equal(person.sent[0]!.alerts.length, MAX_ALERTS_SHOWN);
  assert.equal(person.sent[0]!.firing, 250);
  const program = new CoreHarness({}, ["ops/test"]);
  const seen = () =>
    new Set(program.sent.flatMap(({ alerts }) => alerts.map(({ id, state }) => `${id} ${state}`)));
  program.alert(...storm);
  program.pass(MINUTE);
  assert.equal(seen().size, 250);
  assert.equal(program.sent.length, 3);
  program.sent.length = 0;
  program.pass(5 * HOUR);
  assert.equal(seen().size, 250, "a repeat has every alert too");
  program.alert(...storm.map((alert) => resolved(alert)));
  program.pass(HOUR);
  assert.equal(seen().size, 500);
  assert.equal(program.core.state.members.size, 0);
});

test("the oldest alerts are let go, and said so, beyond max_alerts", () => {
  const core = new CoreHarness({ max_alerts: 10 });
  core.alert(...Array.from({ length: 12 }, (_, i) => firing({ device: `d${i}` })));
  assert.deepEqual(whys(core), ["evicted", "evicted"]);
  assert.equal(core.core.state.alerts.size, 10);
  assert.equal(core.core.state.members.size, 10);
  core.pass(MINUTE);
  assert.equal(core.sent[0]!.firing, 10);
});

test("a restart changes nothing: not what is told, nor when, nor its id", () => {
  const play = (restarts: boolean) => {
    const parts = { route: { receiver: "ops", escalation: [{ after: "15m", receiver: "boss" }] } };
    const core = new CoreHarness(parts);
    const alert = firing();
    const moves: (() => void)[] = [
      () => core.alert(alert, firing({ device: "d2" })),
      () => core.command(silence({ matchers: { device: "d2" } })),
      () => core.command({ v: 1, kind: "ack", id: alert.id, author: "eve", comment: "", at: core.now }),
      () => core.alert(resolved(alert)),
    ];
    for (const move of moves) {
      move();
      if (restarts) core.restart(parts);
      core.pass(20 * MINUTE);
      if (restarts) core.restart(parts);
    }
    core.pass(9 * HOUR);
    return core.sent;
  };
  assert.deepEqual(play(true), play(false));
});

test("another configuration: alerts go to their new groups, those of removed channels die", () => {
  const core = new CoreHarness();
  core.isDown = true;
  core.alert(firing());
  core.pass(MINUTE);
  core.restart({ route: { receiver: "boss" }, receivers: [{ name: "boss", channels: [{ type: "test" }] }] });
  const dead = [...core.core.state.pending.values()].map(({ dead }) => dead);
  assert.deepEqual(dead, ["the channel is not configured any more"]);
  core.isDown = false;
  core.pass(MINUTE);
  assert.deepEqual(
    core.sent.map(({ channel }) => channel),
    ["boss/test"],
  );
});

test("a corrected alert that fires again after its end is told again", () => {
  const core = new CoreHarness();
  const alert = firing();
  core.alert(alert);
  core.pass(MINUTE);
  core.alert(resolved(alert));
  core.pass(5 * MINUTE);
  const again: Alert = { ...alert, updatedAt: alert.updatedAt + 2 * MINUTE };
  core.alert(again);
  core.pass(HOUR);
  assert.deepEqual(
    core.sent.map(({ status }) => status),
    ["firing", "resolved", "firing"],
  );
});
