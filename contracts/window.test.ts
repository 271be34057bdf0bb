import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDurationMs, windowStart } from "./window.js";

test("durations in short and in words", () => {
  const day = 86_400_000;
  const cases: [string, number | undefined][] = [
    ...(
      [
        ["500ms", 500],
        ["10s", 10_000],
        ["1.5h", 5_400_000],
        ["2w", 14 * day],
      ] as const
    ).map((c) => [...c] as [string, number]),
    ...(
      [
        ["2 weeks", 14 * day],
        ["2 months", 60 * day],
        ["2 years", 730 * day],
        ["1 day", day],
      ] as const
    ).map((c) => [...c] as [string, number]),
    ...["", "10", "s", "10 x", "-1s", "1e3s", "ms", "10 toString", "1ss"].map(
      (text) => [text, undefined] as [string, undefined],
    ),
  ];
  for (const [text, ms] of cases) assert.equal(parseDurationMs(text), ms, text);
});

test("windows are aligned to the epoch, also before it", () => {
  assert.equal(windowStart(19_999, 10_000), 10_000);
  assert.equal(windowStart(20_000, 10_000), 20_000);
  assert.equal(windowStart(-1, 10_000), -10_000);
});
