import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DEFAULT_LIMITS } from "../limits.js";
import { diagnose } from "./diagnose.js";
import { compileValidator, normalise, payloadSchema } from "./schema.js";

const schema = payloadSchema(DEFAULT_LIMITS);
const validate = compileValidator(DEFAULT_LIMITS);

const scalar = fc.oneof(
  fc.constantFrom(
    null,
    true,
    false,
    0,
    -0,
    1e308,
    Number.POSITIVE_INFINITY,
    946_684_800_000,
    1_732_350_000_000,
  ),
  fc.constantFrom(
    "",
    "b1",
    "2024-11-23T08:20:00Z",
    "2024-11-23 08:20",
    "😀".repeat(600),
    "x".repeat(65),
    "\ud800",
  ),
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.string(),
);
const name = fc.oneof(
  fc.constantFrom("constructor", "toString", "a b", "t\n", "", "ä"),
  fc.stringMatching(/^[\w.:-]{1,4}$/),
);
const values = fc.oneof(
  fc.dictionary(name, fc.oneof({ weight: 9, arbitrary: scalar }, fc.constantFrom({}, []))),
  scalar,
  fc.constant([]),
);
const payload = fc.record(
  { ts: scalar, seq: scalar, boot: scalar, values, extra: scalar },
  { requiredKeys: [] },
);

test("zod and the compiled validator agree on every payload, and every refusal has a diagnosis", () => {
  let accepted = 0;
  fc.assert(
    fc.property(fc.oneof(payload, fc.jsonValue()), (raw) => {
      const item = normalise(raw);
      const byZod = schema.safeParse(item).success;
      assert.equal(validate(item), byZod, JSON.stringify(raw));
      if (byZod) accepted++;
      else assert.ok(diagnose(item, DEFAULT_LIMITS).detail.length > 0);
    }),
    { numRuns: 20_000, examples: [[{ ts: 1_732_350_000_000, seq: 1, boot: "b", values: { t: 1 } }]] },
  );
  assert.ok(accepted > 100, `only ${accepted} payloads were valid: the generator tests too little`);
});

test("a metric named __proto__ is refused, not dropped", () => {
  for (const text of [
    '{"values":{"__proto__":1}}',
    '{"__proto__":1,"t":2}',
    '{"\\u005f_proto__":1,"values":{"t":1}}',
  ]) {
    const item = normalise(JSON.parse(text));
    assert.equal(validate(item), false, text);
  }
  assert.deepEqual(
    diagnose(normalise(JSON.parse('{"__proto__":1,"t":2}')), DEFAULT_LIMITS).reason,
    "bad_metric_name",
  );
});
