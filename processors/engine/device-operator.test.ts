import assert from "node:assert/strict";
import { test } from "node:test";
import { Packr } from "msgpackr";
import { hasCode } from "../../contracts/errors.js";
import { type ReadingRecord, readingId } from "../../contracts/reading.js";
import { DEFAULT_RESOLUTIONS } from "../../contracts/window.js";
import { compileRule, ruleSchema } from "../alerting/rules.js";
import { DeviceOperator, HEADER_BYTES } from "./device-operator.js";

const T0 = Date.UTC(2026, 0, 1);
const OPTIONS = {
  resolutions: DEFAULT_RESOLUTIONS,
  allowedLatenessMs: 600_000,
  rules: [compileRule(ruleSchema.parse({ name: "anomaly" }))],
};
const packr = new Packr({ moreTypes: true, useRecords: true });

function reading(i: number): ReadingRecord {
  const body = {
    deviceId: "d1",
    ts: T0 + i * 7_000,
    seq: i,
    values: { t: i % 90 === 89 ? 500 : 20 + Math.sin(i) },
  };
  return { v: 1, id: readingId(body, ""), ingestTs: body.ts + 5, ...body };
}

test("a restart after any reading changes neither rollups nor alerts nor summary", () => {
  const run = (restartEvery: number) => {
    let operator = DeviceOperator.create("d1", OPTIONS);
    const outputs: unknown[] = [];
    for (let i = 0; i < 400; i++) {
      const alerts: never[] = [];
      outputs.push(operator.step(i, reading(i), alerts), alerts);
      if (i % 10 === 9) outputs.push(operator.flush());
      if (i % restartEvery === restartEvery - 1) {
        operator = DeviceOperator.load("d1", OPTIONS, operator.save());
      }
    }
    return { outputs, summary: operator.summary() };
  };
  assert.deepEqual(run(10), run(1_000));
});

test("state of another version, or of other windows, is refused: it is rebuilt from the log", () => {
  const operator = DeviceOperator.create("d1", OPTIONS);
  operator.step(0, reading(0), []);
  operator.flush();
  const bytes = operator.save();
  const [header, body] = [bytes.subarray(0, HEADER_BYTES), bytes.subarray(HEADER_BYTES)];
  const older = Buffer.concat([header, packr.pack({ ...packr.unpack(body), v: 0 })]);
  const corrupt = (error: unknown) =>
    hasCode(error, "STATE_CORRUPT") && /state of device d1/.test(error.message);
  assert.throws(() => DeviceOperator.load("d1", OPTIONS, older), corrupt);
  assert.doesNotThrow(() => DeviceOperator.load("d1", OPTIONS, bytes));
  assert.throws(() => DeviceOperator.load("d1", OPTIONS, Buffer.from("rubbish")), corrupt);
  assert.throws(() => DeviceOperator.load("d1", OPTIONS, bytes.subarray(0, bytes.length / 2)), corrupt);
  const halfHours = { ...OPTIONS, resolutions: [{ name: "30m", sizeMs: 1_800_000 }] };
  assert.throws(() => DeviceOperator.load("d1", halfHours, bytes), corrupt);
});

test("a record that the state already includes is recognised by its offset", () => {
  const operator = DeviceOperator.create("d1", OPTIONS);
  operator.step(41, reading(0), []);
  operator.flush();
  const restored = DeviceOperator.load("d1", OPTIONS, operator.save());
  assert.deepEqual([restored.includes(41), restored.includes(42)], [true, false]);
});
