/**
 * The log contract: reopening and closing. Registered last: it closes the log.
 */
import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import { hasCode } from "../../contracts/errors.js";
import {
  Recorder,
  rangeOf,
  readAll,
  record,
  rejectsWith,
  type Suite,
  T0,
  textOf,
  texts,
  topic,
  unique,
  until,
  within,
} from "./log-suite-support.js";

export function lifecycleTests(suite: Suite): void {
  it("keeps topics, records, times and committed offsets over a reopen", async (t: TestContext) => {
    const name = await topic(suite, 2);
    const group = unique("group");
    const sent = texts(0, 50).map((text, i) => record(text, { key: text, timestamp: T0 + i }));
    await suite.log().append(name, sent);
    await suite.log().commit(group, name, 1, 7);
    const before = [await readAll(suite.log(), name, 0), await readAll(suite.log(), name, 1)];
    const ranges = await suite.log().ranges(name);
    if (!(await suite.reopen())) return t.skip("cannot be reopened");
    const log = suite.log();
    assert.deepEqual([await readAll(log, name, 0), await readAll(log, name, 1)], before);
    assert.deepEqual(await log.ranges(name), ranges);
    assert.equal(await log.committed(group, name, 1), 7);
    await log.append(name, [record("after", { key: "v0" })]);
    const partition = before[0]!.some((one) => one.key === "v0") ? 0 : 1;
    const last = (await readAll(log, name, partition)).at(-1)!;
    assert.equal(textOf(last), "after");
    assert.ok(last.offset > before[partition]!.at(-1)!.offset);
  });

  it("finishes what it accepted when it is closed, ends what runs, and then says it is closed", async (t: TestContext) => {
    const log = suite.log();
    const name = await topic(suite);
    const { earliest } = await rangeOf(log, name);
    const handler = new Recorder(() => earliest);
    const subscription = await log.subscribe(unique("group"), name, handler);
    const follower = (async () => {
      for await (const _ of log.read(name, 0, earliest, { follow: true }));
    })().catch((error: unknown) => assert.ok(hasCode(error, "LOG_CLOSED"), String(error)));
    await until("assigned", () => handler.events.length > 0);
    const accepted = texts(0, 20).map((text) => log.append(name, [record(text)]));
    await within("close", log.close());
    await Promise.all(accepted);
    await within("the subscription ends", subscription.done);
    await within("the follower ends", follower);
    assert.equal(handler.events.at(-1), "revoked 0 closing");
    await log.close();
    await rejectsWith("LOG_CLOSED", () => log.append(name, [record("late")]));
    await rejectsWith("LOG_CLOSED", () => log.ranges(name));
    await rejectsWith("LOG_CLOSED", () => readAll(log, name, 0, earliest));
    await rejectsWith("LOG_CLOSED", () => log.subscribe(unique("group"), name, new Recorder()));
    if (!(await suite.reopen())) return t.skip("cannot be reopened to look");
    assert.deepEqual((await readAll(suite.log(), name)).map(textOf), texts(0, 20));
  });
}
