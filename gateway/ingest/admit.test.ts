import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { REASON_CODES, type ReasonCode } from "../../contracts/errors.js";
import { readingId } from "../../contracts/reading.js";
import { DEFAULT_LIMITS } from "../limits.js";
import { type Admitted, Admitter, type Inbound } from "./admit.js";
import { createRouter, DEFAULT_ROUTES } from "./route.js";

const NOW = 1_732_350_000_000;
const route = createRouter(DEFAULT_ROUTES);

function inbound(payload: string | Buffer, fields: Partial<Inbound> = {}): Inbound {
  return {
    topic: "devices/d1/telemetry",
    clientId: "c1",
    payload: Buffer.from(payload),
    qos: 1,
    dup: false,
    messageId: 1,
    ingestTs: NOW,
    ...fields,
  };
}

function admit(message: Inbound, admitter = new Admitter(DEFAULT_LIMITS, "run")): Admitted {
  const where = route(message.topic);
  if (where.kind === "rejected") return admitter.reject(message, where.rejection);
  assert.equal(where.kind, "ingest");
  return admitter.admit(message, where.kind === "ingest" ? where.deviceId : "");
}

const one = (payload: unknown, fields?: Partial<Inbound>) => {
  const { readings, deadLetters } = admit(inbound(JSON.stringify(payload), fields));
  assert.deepEqual(deadLetters, []);
  assert.equal(readings.length, 1);
  return readings[0]!;
};

test("the record is that of the design", () => {
  const payload = { ts: NOW, seq: 17, boot: "b1", values: { temperature: 21.5, humidity: 40 } };
  assert.deepEqual(one(payload, { ingestTs: NOW + 5 }), {
    v: 1,
    id: readingId({ deviceId: "d1", ...payload }, ""),
    deviceId: "d1",
    ts: NOW,
    ingestTs: NOW + 5,
    seq: 17,
    boot: "b1",
    values: { temperature: 21.5, humidity: 40 },
  });
});

test("flattened payloads, booleans, strings, -0 and special names", () => {
  const record = one({
    ts: NOW,
    constructor: 1,
    toString: true,
    hasOwnProperty: false,
    zero: -0,
    state: "ok",
  });
  assert.deepEqual(Object.entries(record.values), [
    ["constructor", 1],
    ["toString", 1],
    ["hasOwnProperty", 0],
    ["zero", 0],
  ]);
  assert.ok(Object.is(record.values.zero, 0));
  assert.deepEqual(record.attributes, { state: "ok" });
  assert.deepEqual(one({ values: { ts: 1 } }).values, { ts: 1 });
});

test("times: milliseconds, fractions floored, ISO 8601 with and without a zone", () => {
  assert.equal(one({ ts: NOW + 0.9, t: 1 }).ts, NOW);
  const base = Date.UTC(2024, 1, 29, 8, 20, 1);
  for (const [text, ts] of [
    ["2024-02-29T08:20:01Z", base],
    ["2024-02-29T08:20:01", base],
    ["2024-02-29T10:20:01+02:00", base],
    ["2024-02-29T02:50:01-0530", base],
    ["2024-02-29T08:20:01.123456789Z", base + 123],
    ["2024-02-29T08:20:01.5", base + 500],
    ["2024-02-29T08:20Z", base - 1_000],
  ] as const) {
    assert.equal(one({ ts: text, t: 1 }).ts, ts, text);
    assert.equal(one({ ts: text, t: 1 }).tsFrom, undefined);
  }
  assert.equal(one({ ts: DEFAULT_LIMITS.minTsMs, t: 1 }).ts, DEFAULT_LIMITS.minTsMs);
  assert.equal(
    one({ ts: NOW + DEFAULT_LIMITS.maxClockSkewMs, t: 1 }).ts,
    NOW + DEFAULT_LIMITS.maxClockSkewMs,
  );
});

/** Payloads by the reason they are refused with, and a word the detail must have. */
const REFUSED: [reason: ReasonCode, payload: string | Buffer, detail: RegExp, topic?: string][] = [
  ["empty", "", /no bytes/],
  ["empty", "[]", /no elements/],
  ["too_large", `"${"x".repeat(DEFAULT_LIMITS.maxPayloadBytes)}"`, /262146 bytes/],
  ["not_utf8", Buffer.from([0x7b, 0xff, 0x7d]), /UTF-8/],
  ["not_json", '{"t":NaN}', /NaN|token/],
  ["too_deep", `{"t":${"[".repeat(8)}${"]".repeat(8)}}`, /more than 8/],
  ["too_deep", "[".repeat(10_000), /more than 8/],
  ["bad_topic", '{"t":1}', /devices\/\{deviceId\}\/telemetry/, "devices/d1/status"],
  ["bad_topic", '{"t":1}', /no route/, "devices/d1/telemetry/x"],
  ["bad_device_id", '{"t":1}', /"a b"/, "devices/a b/telemetry"],
  ["bad_device_id", '{"t":1}', /__proto__/, "devices/__proto__/telemetry"],
  ["bad_device_id", '{"t":1}', /""/, "devices//telemetry"],
  ["bad_shape", "21.5", /got 21.5/],
  ["bad_shape", "null", /got null/],
  ["bad_shape", '{"values":[1]}', /values: must be an object, got an array/],
  ["bad_shape", '{"values":{"t":1},"unit":"C"}', /"unit"/],
  ["bad_shape", '{"values":{"t":1},"__proto__":1}', /"__proto__"/],
  ["bad_ts", '{"ts":null,"t":1}', /got null/],
  ["bad_ts", '{"ts":1732350000,"t":1}', /looks like seconds/],
  ["bad_ts", '{"ts":12,"t":1}', /before 2000/],
  ["bad_ts", '{"ts":"yesterday","t":1}', /"yesterday" is not ISO 8601/],
  ["bad_ts", '{"ts":"2024-02-30T00:00:00Z","t":1}', /calendar/],
  ["bad_ts", '{"ts":"1999-12-31T23:59:59Z","t":1}', /before 2000/],
  ["bad_ts", '{"ts":1e999,"t":1}', /got Infinity/],
  ["ts_too_far_ahead", `{"ts":${NOW + DEFAULT_LIMITS.maxClockSkewMs + 1},"t":1}`, /300001 ms ahead/],
  ["ts_too_far_ahead", `{"ts":${NOW * 1_000},"t":1}`, /looks like microseconds/],
  ["bad_seq", '{"seq":-1,"t":1}', /got -1/],
  ["bad_seq", '{"seq":1.5,"t":1}', /got 1.5/],
  ["bad_seq", '{"seq":9007199254740993,"t":1}', /seq/],
  ["bad_seq", '{"seq":"1","t":1}', /got "1"/],
  ["bad_boot", '{"boot":1,"t":1}', /got 1/],
  ["bad_boot", '{"boot":"","t":1}', /got ""/],
  ["bad_boot", `{"boot":"${"x".repeat(65)}","t":1}`, /1 to 64/],
  ["bad_metric_name", '{"values":{"a b":1}}', /"a b"/],
  ["bad_metric_name", '{"values":{"__proto__":1}}', /"__proto__"/],
  ["bad_metric_name", '{"__proto__":1}', /"__proto__"/],
  ["bad_metric_name", '{"values":{"t\\n":1}}', /"t\\n"/],
  ["bad_metric_name", '{"values":{"\\ud800":1}}', /not a legal name/],
  ["bad_value", '{"values":{"t":null}}', /values.t: .*got null/],
  ["bad_value", '{"values":{"t":1e999}}', /out of range/],
  ["bad_value", '{"t":{"x":1}}', /values.t: .*an object/],
  ["bad_value", '{"t":[1]}', /values.t: .*an array/],
  ["no_values", '{"values":{}}', /no values/],
  ["no_values", '{"ts":1732350000000}', /no values/],
  [
    "too_many_values",
    JSON.stringify(Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`m${i}`, i]))),
    /257/,
  ],
  ["batch_too_long", JSON.stringify(Array(1_001).fill({ t: 1 })), /1001/],
  ["too_long_string", `{"s":"${"x".repeat(1_025)}"}`, /1025/],
];

for (const [reason, payload, detail, topic] of REFUSED) {
  const shown = payload.toString().slice(0, 40);
  test(`${reason}: ${topic ?? ""} ${JSON.stringify(shown)}`, () => {
    const message = inbound(payload, topic === undefined ? {} : { topic });
    const { readings, deadLetters } = admit(message);
    assert.deepEqual(readings, []);
    assert.equal(deadLetters.length, 1);
    const [letter] = deadLetters;
    assert.equal(letter!.reason, reason);
    assert.match(letter!.detail, detail);
    assert.equal(letter!.topic, message.topic);
    assert.equal(letter!.clientId, "c1");
    assert.equal(letter!.deviceId, topic === undefined ? "d1" : undefined);
    assert.equal(letter!.payloadBytes, message.payload.length);
    const kept = message.payload.subarray(0, DEFAULT_LIMITS.maxPayloadBytes);
    assert.deepEqual(Buffer.from(letter!.payload, "base64"), kept);
  });
}

test("every reason code has a case above, but for those that others give", () => {
  assert.deepEqual(
    new Set([...REFUSED.map(([reason]) => reason), "store_rejected", "notification_failed"]),
    new Set<string>(REASON_CODES),
  );
});

test("in a batch each element ends by itself, with its own bytes", () => {
  const elements = [
    '{"ts":1732350000000,"t":1}',
    ' {"t" : null}',
    "[[[[[[[[[1]]]]]]]]]",
    '{"seq":4,"t":"[,]"}',
    '"ä"',
  ];
  const { readings, deadLetters } = admit(inbound(`[${elements.join(" ,")}]`));
  assert.deepEqual(
    readings.map((r) => r.seq ?? r.ts),
    [NOW, 4],
  );
  assert.deepEqual(
    deadLetters.map((d) => [d.index, d.reason, Buffer.from(d.payload, "base64").toString()]),
    [
      [1, "bad_value", '{"t" : null}'],
      [2, "too_deep", "[[[[[[[[[1]]]]]]]]]"],
      [4, "bad_shape", '"ä"'],
    ],
  );
  assert.equal(new Set(deadLetters.map((d) => d.id)).size, 3);
});

test("every item of any message ends in exactly one record", () => {
  const admitter = new Admitter(DEFAULT_LIMITS, "run");
  fc.assert(
    fc.property(fc.array(fc.jsonValue(), { minLength: 1 }), (items) => {
      const { readings, deadLetters } = admit(inbound(JSON.stringify(items)), admitter);
      assert.equal(readings.length + deadLetters.length, items.length);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const { readings, deadLetters } = admit(inbound(Buffer.from(bytes)), admitter);
      assert.ok(readings.length + deadLetters.length >= 1);
    }),
  );
});

test("a re-send has the id of the first, whatever its key order", () => {
  const a = one({ ts: NOW, values: { a: 1, b: 2 } });
  const b = one({ values: { b: 2, a: 1 }, ts: NOW }, { ingestTs: NOW + 9, clientId: "other", messageId: 9 });
  assert.equal(a.id, b.id);
  assert.notEqual(a.id, one({ ts: NOW + 1, values: { a: 1, b: 2 } }).id);
});

test("readings without ts and seq: a DUP is the same reading, a repeat is another", () => {
  const admitter = new Admitter(DEFAULT_LIMITS, "run");
  const send = (fields: Partial<Inbound>) => admit(inbound('{"t":1}', fields), admitter).readings[0]!;
  const first = send({ messageId: 5 });
  const again = send({ messageId: 5, dup: true, ingestTs: NOW + 700 });
  assert.deepEqual([again.id, again.ts, again.ingestTs], [first.id, NOW, NOW + 700]);
  assert.equal(first.tsFrom, "gateway");
  assert.notEqual(send({ messageId: 5 }).id, first.id, "the packet id was used again");
  assert.notEqual(send({ messageId: 6, dup: true }).id, first.id, "another packet id");
  assert.notEqual(send({ messageId: 5, dup: true, clientId: "c2" }).id, first.id, "another client");
  const { messageId: _, ...qos0 } = inbound('{"t":1}', { qos: 0 });
  assert.notEqual(admit(qos0, admitter).readings[0]!.id, admit(qos0, admitter).readings[0]!.id);
  const batch = admit(inbound('[{"t":1},{"t":1}]'), admitter).readings;
  assert.notEqual(batch[0]!.id, batch[1]!.id);
});

test("what is remembered of messages is bounded", () => {
  const admitter = new Admitter({ ...DEFAULT_LIMITS, maxRememberedMessages: 2 }, "run");
  const send = (messageId: number, dup: boolean) =>
    admit(inbound('{"t":1}', { messageId, dup }), admitter).readings[0]!.id;
  const [one, two] = [send(1, false), send(2, false)];
  assert.equal(send(1, true), one);
  send(3, false);
  assert.equal(admitter.remembered, 2);
  assert.equal(send(1, true), one);
  assert.notEqual(send(2, true), two, "the least recently used was forgotten");
});

test("a small message cannot make large records", () => {
  const elements = Array(1_000).fill("0").join(",");
  const { deadLetters } = admit(inbound(`[${elements}]`, { clientId: "c".repeat(60_000) }));
  assert.ok(JSON.stringify(deadLetters).length < 2_000_000);
});
