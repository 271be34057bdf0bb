/**
 * What is kept back and what goes further: silences, maintenance, inhibition, acknowledgement, escalation.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Notification } from "../../contracts/ports/channel.js";
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

test("a silence holds in [start, end); what still fires is told within group_interval after it", () => {
  const core = new CoreHarness();
  core.command(silence());
  core.alert(firing(), firing({ device: "d2" }));
  core.pass(HOUR - 1);
  assert.deepEqual(core.sent.map(told), [["new", "d2 firing"]]);
  assert.deepEqual(whys(core), ["silenced"]);
  core.pass(5 * MINUTE + 1);
  assert.deepEqual(core.sent.slice(1).map(told), [["new", "d1 firing", "d2 firing"]]);
});

test("a silence that is expired ends at once; one with the same id replaces it", () => {
  const core = new CoreHarness();
  core.command(silence({ matchers: { device: "other" } }));
  core.command(silence());
  core.alert(firing());
  core.pass(10 * MINUTE);
  assert.equal(core.sent.length, 0);
  core.command({ v: 1, kind: "expire", id: "s1", author: "eve", at: core.now });
  core.pass(5 * MINUTE);
  assert.equal(core.sent.length, 1);
  core.command({ v: 1, kind: "expire", id: "unknown", author: "eve", at: core.now });
  assert.deepEqual(whys(core), ["silenced", "refused"]);
});

test("of an alert that was told of, the end is told in a silence too; nothing else is", () => {
  const core = new CoreHarness();
  core.alert(firing());
  core.pass(MINUTE);
  core.command(silence({ end: T0 + 24 * HOUR }));
  core.pass(10 * HOUR);
  assert.equal(core.sent.length, 1);
  core.alert(resolved(firing()));
  const brief = firing({ metric: "humidity" });
  core.alert(brief, resolved(brief));
  core.pass(HOUR);
  assert.deepEqual(core.sent.slice(1).map(told), [["resolved", "d1 resolved"]]);
});

test("what began and ended within a silence is not told after it", () => {
  const core = new CoreHarness();
  core.command(silence({ end: T0 + 10 * SECOND }));
  core.alert(firing(), resolved(firing()));
  core.pass(HOUR);
  assert.deepEqual(core.sent, []);
});

test("maintenance windows come back in UTC, over midnight too", () => {
  const windows = [{ days: ["sun"], start: "23:00", end: "01:00" }];
  const core = new CoreHarness({ maintenance: [{ name: "weekly", matchers: { device: "d*" }, windows }] });
  core.alert(firing(), firing({ device: "e1", rule: "cold" }));
  core.pass(HOUR - 1);
  assert.deepEqual(core.sent.map(told), [["new", "e1 firing"]]);
  core.pass(5 * MINUTE + 1);
  assert.deepEqual(core.sent.slice(1).map(told), [["new", "d1 firing"]]);
  assert.deepEqual(whys(core), ["maintenance"]);
});

test("a source inhibits targets with equal labels, and only while it fires", () => {
  const inhibit_rules = [{ source: { rule: "offline" }, target: { rule: "*" }, equal: ["device"] }];
  const core = new CoreHarness({ inhibit_rules, route: { receiver: "ops", group_by: ["rule", "device"] } });
  const offline = firing({ rule: "offline" });
  core.alert(firing(), firing({ device: "d2" }), offline);
  core.pass(HOUR);
  const names = () =>
    core.sent.map(({ alerts }) => `${alerts[0]!.rule} ${alerts[0]!.device} ${alerts[0]!.state}`);
  assert.deepEqual(names(), ["hot d2 firing", "offline d1 firing"]);
  assert.deepEqual(whys(core), ["inhibited"]);
  core.alert(resolved(offline));
  core.pass(5 * MINUTE);
  assert.deepEqual(names().slice(2).sort(), ["hot d1 firing", "offline d1 resolved"]);
});

test("alerts that are both source and target do not inhibit each other", () => {
  const inhibit_rules = [{ source: { severity: "critical" }, target: {}, equal: [] }];
  const core = new CoreHarness({ inhibit_rules, route: { receiver: "ops", group_by: ["device"] } });
  core.alert(
    firing({ severity: "critical" }),
    firing({ device: "d2", severity: "critical" }),
    firing({ device: "d3" }),
  );
  core.pass(MINUTE);
  assert.deepEqual(
    core.sent.map(({ alerts }) => alerts[0]!.device),
    ["d1", "d2"],
  );
});

test("an acknowledged alert is not repeated and not escalated; its end is told", () => {
  const escalation = [{ after: "15m", receiver: "boss" }];
  const core = new CoreHarness({ route: { receiver: "ops", escalation } });
  core.alert(firing());
  core.pass(10 * MINUTE);
  core.command({ v: 1, kind: "ack", id: firing().id, author: "eve", comment: "", at: core.now });
  core.pass(10 * HOUR);
  assert.equal(core.sent.length, 1);
  core.alert(firing({ device: "d2" }));
  core.pass(10 * MINUTE);
  assert.deepEqual(told(core.sent[1]!), ["new", "d1 firing", "d2 firing"]);
  assert.equal(core.sent[1]!.alerts[0]!.acknowledgedBy, "eve");
  core.alert(resolved(firing()));
  core.pass(5 * MINUTE);
  assert.deepEqual(told(core.sent[2]!), ["resolved", "d2 firing", "d1 resolved"]);
});

test("nobody acknowledges: the next receivers are told in their time, and of the end", () => {
  const escalation = [
    { after: "15m", receiver: "boss" },
    { after: "1h", receiver: "ops" },
  ];
  const core = new CoreHarness({ route: { receiver: "ops", escalation } });
  core.alert(firing());
  core.pass(2 * HOUR);
  core.alert(resolved(firing()));
  core.pass(10 * MINUTE);
  const steps = core.sent.map(({ receiver, escalation, cause, createdAt }) => [
    receiver,
    escalation ?? 0,
    cause,
    createdAt - T0,
  ]);
  assert.deepEqual(steps.slice(0, 3), [
    ["ops", 0, "new", 30 * SECOND],
    ["boss", 1, "new", 30 * SECOND + 15 * MINUTE],
    ["ops", 2, "new", 30 * SECOND + HOUR],
  ]);
  assert.deepEqual(
    steps
      .slice(3)
      .map(([receiver, step, cause]) => `${receiver} ${step} ${cause}`)
      .sort(),
    ["boss 1 resolved", "ops 0 resolved", "ops 2 resolved"],
  );
});

test("a silenced alert does not escalate; it does after the silence", () => {
  const core = new CoreHarness({
    route: { receiver: "ops", escalation: [{ after: "15m", receiver: "boss" }] },
  });
  core.alert(firing());
  core.pass(MINUTE);
  core.command(silence({ start: core.now, end: T0 + 40 * MINUTE }));
  core.pass(39 * MINUTE);
  assert.equal(core.sent.length, 1);
  core.pass(6 * MINUTE);
  assert.deepEqual(
    core.sent.slice(1).map(({ receiver }) => receiver),
    ["boss"],
  );
});
