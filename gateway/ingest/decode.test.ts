import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DEFAULT_LIMITS } from "../limits.js";
import { decode, elementRanges, isDeeper } from "./decode.js";

const limits = DEFAULT_LIMITS;
const reasonOf = (payload: string | Buffer) => {
  const decoded = decode(Buffer.from(payload), limits);
  return decoded.kind === "rejected" ? decoded.reason : decoded.kind;
};

test("what is no JSON text has its reason", () => {
  assert.equal(reasonOf(""), "empty");
  assert.equal(reasonOf("[]"), "empty");
  assert.equal(reasonOf(Buffer.from([0x22, 0xff, 0x22])), "not_utf8");
  assert.equal(reasonOf(Buffer.from([0xed, 0xa0, 0x80])), "not_utf8");
  for (const text of [" ", "{", "NaN", '{"values":{"t":NaN}}', "\ufeff{}", "{} {}", '{"a":1,}', "{'a':1}"]) {
    assert.equal(reasonOf(text), "not_json", text);
  }
});

test("limits are inclusive", () => {
  const ofLength = (length: number) => `"${"x".repeat(length - 2)}"`;
  assert.equal(reasonOf(ofLength(limits.maxPayloadBytes)), "single");
  assert.equal(reasonOf(ofLength(limits.maxPayloadBytes + 1)), "too_large");
  assert.equal(reasonOf(JSON.stringify(Array(limits.maxBatch).fill(0))), "batch");
  assert.equal(reasonOf(JSON.stringify(Array(limits.maxBatch + 1).fill(0))), "batch_too_long");
});

test("no nesting exhausts the stack", () => {
  const depth = 120_000;
  assert.equal(reasonOf("[".repeat(depth)), "too_deep");
  assert.equal(reasonOf('{"a":'.repeat(depth / 5)), "too_deep");
  assert.equal(reasonOf("[".repeat(depth) + "]".repeat(depth)), "batch");
  assert.equal(isDeeper(Buffer.from("[".repeat(depth) + "]".repeat(depth)), 8), true);
  assert.equal(isDeeper(Buffer.from('["[[[[[[[[[[","\\"[[[[[[[[[["]'), 1), false);
});

test("elementRanges finds each element's own bytes", () => {
  fc.assert(
    fc.property(
      fc.array(fc.jsonValue(), { minLength: 1 }),
      fc.constantFrom("", " ", "\n\t"),
      (items, space) => {
        const json = Buffer.from(
          `${space}[${items.map((i) => space + JSON.stringify(i) + space).join(",")}]${space}`,
        );
        const found = elementRanges(json).map(([start, end]) => json.toString("utf8", start, end));
        assert.deepEqual(
          found,
          items.map((item) => JSON.stringify(item)),
        );
      },
    ),
  );
});
