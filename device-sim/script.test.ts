import assert from "node:assert/strict";
import { test } from "node:test";
import {
  deviceScript,
  type Faults,
  LABELS,
  type PlannedMessage,
  REORDER_DEPTH,
  type ScriptOptions,
} from "./script.js";
import { createSignals, METRICS } from "./signals.js";

const NO_FAULTS: Faults = { duplicates: 0, reordered: 0, malformed: 0, late: 0, cuts: 0 };
const BASE: ScriptOptions = {
  seed: 1,
  device: 2,
  prefix: "t-",
  boot: "b1",
  count: 2_000,
  startTs: 1_732_350_000_000,
  offsetMs: (n) => 3 + n * 10,
  signals: createSignals(1, 2),
  metrics: METRICS,
  paced: true,
  faults: NO_FAULTS,
  anomalies: [],
};

function run(changes: Partial<ScriptOptions> = {}): PlannedMessage[] {
  return [...deviceScript({ ...BASE, ...changes })];
}

function seqs(messages: PlannedMessage[]): number[] {
  return messages.flatMap(({ truth }) => (truth.end === "reading" ? [truth.reading.seq] : []));
}

const IN_ORDER = Array.from({ length: BASE.count }, (_, n) => n);

test("without faults every reading goes out once, in order, when its time comes", () => {
  const messages = run();
  assert.deepEqual(seqs(messages), IN_ORDER);
  for (const { truth, dueMs, labels, topic, payload } of messages) {
    assert.ok(truth.end === "reading");
    assert.equal(truth.reading.ts, BASE.startTs + dueMs);
    assert.equal(labels, 0);
    assert.equal(topic, "devices/t-00002/telemetry");
    const sent = JSON.parse(payload.toString());
    assert.deepEqual([sent.ts, sent.seq, sent.boot], [truth.reading.ts, truth.reading.seq, "b1"]);
    assert.deepEqual(Object.values(sent.values), truth.reading.values);
  }
});

test("the same options give the same bytes; another seed gives others", () => {
  const faults = { duplicates: 0.1, reordered: 0.1, malformed: 0.1, late: 0.1, cuts: 0.1 };
  assert.deepEqual(run({ faults }), run({ faults }));
  assert.notDeepEqual(run({ faults }), run({ faults, seed: 2 }));
});

test("every fault keeps every reading, with distinct event times, about as often as asked for", () => {
  for (const fault of Object.keys(NO_FAULTS) as (keyof Faults)[]) {
    const messages = run({ faults: { ...NO_FAULTS, [fault]: 0.1 } });
    assert.deepEqual(
      seqs(messages).sort((a, b) => a - b),
      IN_ORDER,
      fault,
    );
    const label = { duplicates: LABELS.duplicate, cuts: LABELS.cut, ...LABELS }[fault];
    const hit = messages.filter(({ labels }) => labels & label).length;
    assert.ok(hit > 100 && hit < 320, `${fault}: ${hit} of ${BASE.count}`);
    const times = messages.flatMap(({ truth }) => (truth.end === "reading" ? [truth.reading.ts] : []));
    assert.equal(new Set(times).size, BASE.count, fault);
  }
});

test("reordered readings are overtaken by at most REORDER_DEPTH others, late ones by many", () => {
  const behind = (messages: PlannedMessage[], label: number) =>
    messages.map((message, at) => {
      if (!(message.labels & label) || message.truth.end !== "reading") return 0;
      const { seq } = message.truth.reading;
      return seqs(messages.slice(0, at)).filter((earlier) => earlier > seq).length;
    });
  const reordered = behind(run({ count: 500, faults: { ...NO_FAULTS, reordered: 0.1 } }), LABELS.reordered);
  assert.ok(Math.max(...reordered) > 0 && Math.max(...reordered) <= REORDER_DEPTH);
  const late = behind(run({ count: 500, faults: { ...NO_FAULTS, late: 0.2 } }), LABELS.late);
  assert.ok(Math.max(...late) > 20, `${Math.max(...late)}`);
});

test("messages are due in sending order, none before its event time, and unpaced messages are due at once", () => {
  const faults = { ...NO_FAULTS, reordered: 0.1, late: 0.1 };
  const due = run({ faults }).map(({ dueMs }) => dueMs);
  assert.deepEqual(
    due.toSorted((a, b) => a - b),
    due,
  );
  for (const { truth, dueMs } of run({ faults })) {
    assert.ok(truth.end === "reading" && BASE.startTs + dueMs >= truth.reading.ts);
  }
  assert.ok(run({ faults, paced: false }).every(({ dueMs }) => dueMs === 0));
});

test("malformed messages come in many kinds, each with bytes of its own but for the empty one", () => {
  const bad = run({ faults: { ...NO_FAULTS, malformed: 0.5 } }).filter(
    ({ truth }) => truth.end === "invalid",
  );
  const reasons = new Set(bad.map(({ truth }) => truth.end === "invalid" && truth.reason));
  assert.equal(reasons.size, 12);
  const distinct = new Set(bad.map(({ topic, payload }) => `${topic} ${payload.toString("base64")}`));
  const empty = bad.filter(({ payload }) => payload.length === 0).length;
  assert.equal(distinct.size, bad.length - empty + 1);
});
