import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { rollup } from "../../../testkit/contracts/store-suite.js";
import {
  alertIndexKey,
  alertIndexRange,
  decodeRollup,
  encodeRollups,
  rollupKey,
  startOfRollupKey,
} from "./codec.js";

const TIMES = [Number.MIN_SAFE_INTEGER, -(2 ** 33), -1, 0, 1, 2 ** 32 - 1, 2 ** 32, 1_732_350_000_000];

describe("keys of the embedded store", () => {
  it("sort by resolution, then time, then series", () => {
    const keys = ["10s", "1m"].flatMap((resolution) =>
      TIMES.flatMap((start) =>
        [
          ["d", "m"],
          ["d", "m1"],
          ["d1", "a"],
        ].map(([device, metric]) => rollupKey(resolution, start, device!, metric!)),
      ),
    );
    assert.deepEqual([...keys].reverse().sort(Buffer.compare), keys);
  });

  it("give back their time", () => {
    for (const start of [...TIMES, Number.MAX_SAFE_INTEGER]) {
      assert.equal(startOfRollupKey(rollupKey("10s", start, "device", "metric")), start);
      const { entry } = alertIndexRange("device", "firing");
      assert.deepEqual(entry(alertIndexKey("device", "firing", start, "id")), { updatedAt: start, id: "id" });
    }
  });

  it("differ for every identity, however names are divided", () => {
    const identities = [
      ["10s", "ab", "c"],
      ["10s", "a", "bc"],
      ["10sa", "b", "c"],
    ];
    const keys = identities.map(([resolution, device, metric]) =>
      rollupKey(resolution!, 0, device!, metric!),
    );
    assert.equal(new Set(keys.map((key) => key.toString("hex"))).size, 3);
  });

  it("of the alert index lie in the range of their own scope and state only", () => {
    const scopes = ["", "d", "d1"];
    for (const scope of scopes) {
      for (const state of ["firing", "resolved"]) {
        const { start, end } = alertIndexRange(scope, state);
        for (const otherScope of scopes) {
          for (const otherState of ["firing", "resolved"]) {
            const key = alertIndexKey(otherScope, otherState, Number.MAX_SAFE_INTEGER, "\u{10ffff}");
            const within = Buffer.compare(start, key) <= 0 && Buffer.compare(key, end) < 0;
            assert.equal(within, scope === otherScope && state === otherState);
          }
        }
      }
    }
  });
});

describe("values of the embedded store", () => {
  it("keep every bit, -0 too", () => {
    const rows = [rollup("d", { min: -0, max: 5e-324, sum: 0.1 + 0.2, count: 2 ** 53 - 1 }), rollup("e")];
    const values = encodeRollups(rows);
    assert.deepEqual(
      rows.map((row, i) => decodeRollup(row, values[i]!)),
      rows,
    );
    assert.ok(Object.is(decodeRollup(rows[0]!, values[0]!).min, -0));
  });
});
