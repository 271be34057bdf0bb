import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeadLetterRecord } from "../../contracts/dead-letter.js";
import { DEFAULT_LIMITS } from "../limits.js";
import { retryDeadLetter } from "./retry.js";

const INGEST_TS = Date.UTC(2026, 0, 1);

function letter(payload: string, more: Partial<DeadLetterRecord> = {}): DeadLetterRecord {
  return {
    ...{
      v: 1,
      id: "run-7",
      reason: "too_many_values",
      detail: "",
      topic: "devices/d1/telemetry",
      ingestTs: INGEST_TS,
    },
    ...{
      payload: Buffer.from(payload).toString("base64"),
      payloadBytes: Buffer.byteLength(payload),
      ...more,
    },
  };
}

test("what the rules take now becomes a reading with its first receive time, the same at every retry", () => {
  const outcome = retryDeadLetter(letter('{"values":{"a":1,"b":2}}'), DEFAULT_LIMITS);
  assert.equal(outcome.kind, "readings");
  const [reading] = outcome.kind === "readings" ? outcome.readings : [];
  assert.deepEqual(
    [reading!.deviceId, reading!.ts, reading!.tsFrom, reading!.ingestTs],
    ["d1", INGEST_TS, "gateway", INGEST_TS],
  );
  assert.deepEqual(retryDeadLetter(letter('{"values":{"a":1,"b":2}}'), DEFAULT_LIMITS), outcome);
});

test("what is still wrong says why", () => {
  const strict = { ...DEFAULT_LIMITS, maxValues: 1 };
  assert.deepEqual(retryDeadLetter(letter('{"values":{"a":1,"b":2}}'), strict).kind, "still_invalid");
  assert.equal(retryDeadLetter(letter("nope"), DEFAULT_LIMITS).kind, "still_invalid");
  assert.equal(
    retryDeadLetter(letter('{"values":{"a":1}}', { topic: "devices/d1" }), DEFAULT_LIMITS).kind,
    "still_invalid",
  );
});

test("a payload that was cut cannot be retried", () => {
  const outcome = retryDeadLetter(letter('{"values":{"a":1}}', { payloadBytes: 1_000_000 }), DEFAULT_LIMITS);
  assert.deepEqual(outcome.kind === "still_invalid" && outcome.reason, "too_large");
});
