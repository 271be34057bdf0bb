/**
 * Alert rules from a file, as a user meets them: changed while Sluice runs, looked at with `sluice alerts`, and tried out
 * over the same readings with `sluice backtest`.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Alert } from "../../contracts/alert.js";
import { client, publish } from "./clients.js";
import { until, Workspace } from "./harness.js";

const rule = (name: string, above: number) =>
  `rules:\n  - { name: ${name}, metric: temperature, detector: range, params: { above: ${above} } }\n`;

test("a rules file is in force at once when it changes; its alerts are explained, and a backtest finds them", async (t) => {
  const space = Workspace.of(t);
  const file = join(space.dir, "rules.yaml");
  writeFileSync(file, rule("warm", 30));
  space.configure("alerts: { rulesFile: rules.yaml }\n");
  const sluice = await space.start();
  const mqtt = await client(space, sluice);
  const start = Date.now() - 3_600_000;
  let seq = 0;
  const send = (temperature: number) => {
    const ts = start + seq * 1_000;
    return publish(mqtt, "oven", { ts, seq: seq++, values: { temperature, door: temperature > 90 ? 1 : 0 } });
  };
  const alerts = async () => (await sluice.getJson<{ alerts: Alert[] }>("/api/v1/alerts")).alerts;
  const one = (name: string, state: string) =>
    until(`${name} ${state}`, async () =>
      (await alerts()).find((alert) => alert.rule === name && alert.state === state),
    );

  await send(20);
  await send(40);
  const warm = await one("warm", "firing");

  writeFileSync(file, rule("hot", 80));
  // The file is looked at every second; until then readings are judged by the old rules.
  const ended = await until("the removed rule's alert to end", async () => {
    await send(50);
    return (await alerts()).find(({ id, state }) => id === warm.id && state === "resolved");
  });
  assert.equal(ended.rule, "warm");
  await send(95);
  const hot = await one("hot", "firing");

  const list = await space.command(["alerts", "list", "--json", "--data-dir", space.dataDir]);
  assert.equal(list.code, 0, list.stderr);
  const listed = (JSON.parse(list.stdout) as { alerts: Alert[] }).alerts;
  assert.deepEqual(new Set(listed.map(({ id }) => id)), new Set([warm.id, hot.id]));
  assert.equal(listed.find(({ id }) => id === warm.id)?.endedBy, "rule removed");
  const firing = await space.command(["alerts", "list", "--state", "firing", "--data-dir", space.dataDir]);
  assert.match(firing.stdout, /hot\s+temperature of oven is 95, above its limit of 80/);
  assert.doesNotMatch(firing.stdout, /limit of 30/);

  const explained = await space.command([
    ...["alerts", "explain", hot.id.slice(0, 10), "--data-dir", space.dataDir],
  ]);
  assert.equal(explained.code, 0, explained.stderr);
  for (const part of [/up to 80/, /has not fired on this series before/, /95 .*<- fired here/])
    assert.match(explained.stdout, part);
  const unknown = await space.command(["alerts", "show", "nothing", "--data-dir", space.dataDir]);
  assert.deepEqual([unknown.code, /no alert with an id/.test(unknown.stderr)], [1, true]);

  const labels = join(space.dir, "labels.json");
  writeFileSync(labels, JSON.stringify({ "oven/temperature": [[hot.startedAt, hot.startedAt + 1_000]] }));
  const other = join(space.dir, "other.yaml");
  writeFileSync(other, rule("warm", 30));
  const backtest = await space.command([
    ...["backtest", "--rules", file, "--compare", other, "--labels", labels, "--json"],
    ...["--data-dir", space.dataDir],
  ]);
  assert.equal(backtest.code, 0, backtest.stderr);
  const { backtests } = JSON.parse(backtest.stdout) as {
    backtests: { alerts: Alert[]; evaluation: { precision: number; recall: number } }[];
  };
  assert.deepEqual(
    backtests[0]!.alerts.map(({ id }) => id),
    [hot.id],
  );
  assert.deepEqual([backtests[0]!.evaluation.precision, backtests[0]!.evaluation.recall], [1, 1]);
  assert.deepEqual(
    backtests[1]!.alerts.map(({ rule, startedAt }) => [rule, startedAt]),
    [["warm", warm.startedAt]],
  );
});
