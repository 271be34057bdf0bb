import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import type { Alert } from "../../contracts/alert.js";
import { readingId } from "../../contracts/reading.js";
import { TOPICS } from "../../contracts/topics.js";
import { DEFAULT_RESOLUTIONS } from "../../contracts/window.js";
import { MemoryLog, MemoryLogData } from "../../testkit/memory-log.js";
import { MemoryCheckpoints, MemoryStateData } from "../../testkit/memory-state.js";
import { checkRules } from "../alerting/rules.js";
import { PartitionTask } from "./partition-task.js";

const T0 = Date.UTC(2026, 0, 1);
const SECOND = 1_000;

function operator(...rules: object[]) {
  const checked = checkRules(rules, "rules");
  assert.equal(checked.problems, undefined);
  return { resolutions: DEFAULT_RESOLUTIONS, allowedLatenessMs: 600 * SECOND, rules: checked.rules! };
}

const HOT = { name: "hot", detector: "range", params: { above: 80 } };
const SILENT = { name: "silent", detector: "silence", params: { after: "60s" } };

async function world(first: ReturnType<typeof operator>) {
  const data = new MemoryLogData();
  const log = new MemoryLog(data, () => 0);
  await log.ensureTopics(Object.values(TOPICS).map((name) => ({ name, partitions: 1 })));
  const state = new MemoryStateData();
  const start = async (options = first) => {
    const task = new PartitionTask({
      task: { group: "g", topic: TOPICS.readings, partition: 0 },
      ...{ log, checkpoints: new MemoryCheckpoints(state, "atomic"), operator: options },
      ...{ logger: pino({ level: "silent" }), maxDevicesInMemory: 10, writeTopics: true },
    });
    await task.restore(0);
    return task;
  };
  const send = async (task: PartitionTask, second: number, t: number, deviceId = "d1") => {
    const body = { deviceId, ts: T0 + second * SECOND, values: { t } };
    const reading = { v: 1, id: readingId(body, ""), ingestTs: body.ts, ...body };
    const value = Buffer.from(JSON.stringify(reading));
    await log.append(TOPICS.readings, [{ key: deviceId, value, timestamp: body.ts }]);
    task.process(data.records(TOPICS.readings));
  };
  const alerts = () =>
    data.records(TOPICS.alerts).map(({ value }) => {
      const { rule, device, state, startedAt } = JSON.parse(Buffer.from(value).toString()) as Alert;
      return `${rule} ${device} ${state} ${(startedAt - T0) / SECOND}`;
    });
  return { start, send, alerts, state };
}

test("other rules are in force from the next commit on, and at once when nothing waits for one", async () => {
  const { start, send, alerts } = await world(operator(HOT));
  const task = await start();
  await send(task, 0, 70);
  task.useOperator(operator({ ...HOT, name: "warm", params: { above: 60 } }));
  await send(task, 1, 70);
  await task.commit();
  assert.deepEqual(alerts(), []);
  await send(task, 2, 70);
  await task.commit();
  assert.deepEqual(alerts(), ["warm d1 firing 2"]);
  task.useOperator(operator(HOT));
  await send(task, 3, 90);
  await task.commit();
  assert.deepEqual(alerts().sort(), ["hot d1 firing 3", "warm d1 firing 2", "warm d1 resolved 2"]);
});

test("a rule on silence that comes later knows the devices there are", async () => {
  const { start, send, alerts } = await world(operator(HOT));
  const task = await start();
  await send(task, 0, 20);
  await send(task, 0, 20, "d2");
  await task.commit();
  task.useOperator(operator(HOT, SILENT));
  assert.equal(task.silenceDue(T0 + 59 * SECOND), false);
  assert.equal(task.silenceDue(T0 + 60 * SECOND), true);
  await send(task, 10, 20, "d2");
  await send(task, 65, 20, "d2");
  await task.commit();
  assert.deepEqual(alerts(), ["silent d1 firing 60"]);
});

test("deadlines are taken up again after a restart", async () => {
  const { start, send, alerts } = await world(operator(SILENT));
  const task = await start();
  await send(task, 0, 20);
  await task.commit();
  const again = await start();
  assert.equal(again.silenceDue(T0 + 59 * SECOND), false);
  assert.equal(again.silenceDue(T0 + 60 * SECOND), true);
  again.tick(T0 + 3_600 * SECOND);
  await again.commit();
  assert.deepEqual(alerts(), ["silent d1 firing 60"]);
  const third = await start();
  third.tick(T0 + 7_200 * SECOND);
  await third.commit();
  assert.deepEqual(alerts(), ["silent d1 firing 60"], "fires once");
  assert.equal(third.silenceDue(T0 + 7_200 * SECOND), false);
});

test("a rebuild under other rules adds what they raise, and nothing twice", async () => {
  const { start, send, alerts, state } = await world(operator(HOT));
  const task = await start();
  await send(task, 0, 90);
  await task.commit();
  state.tasks.clear();
  const rebuilt = await start(operator({ ...HOT, name: "warm", params: { above: 60 } }, HOT));
  await send(rebuilt, 1, 91);
  await rebuilt.commit();
  assert.deepEqual(alerts(), ["hot d1 firing 0", "warm d1 firing 0"]);
});
