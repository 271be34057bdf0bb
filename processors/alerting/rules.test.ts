import assert from "node:assert/strict";
import { test } from "node:test";
import { isActive, nextActive } from "./active-hours.js";
import { matchesGlob } from "./globs.js";
import { spanText } from "./numbers.js";
import { checkRules, compileRule, DEFAULT_RULES, ruleSchema } from "./rules.js";

function problemsOf(...rules: unknown[]): string[] {
  return checkRules(rules, "rules").problems ?? [];
}

function compiled(rule: object) {
  const { rules, problems } = checkRules([{ name: "r", ...rule }], "rules");
  assert.deepEqual(problems, undefined);
  return rules![0]!;
}

test("every mistake is named with its rule and field", () => {
  const cases: [rule: unknown, message: RegExp][] = [
    [{ detector: "novelty" }, /^rules\[0\]\.name: /],
    [{ name: "two words" }, /^rules\[0\] \(two words\)\.name: letters/],
    [{ name: "r", detector: "nope" }, /^rules\[0\] \(r\)\.detector: .*novelty.*silence/],
    [{ name: "r", device: "a/b" }, /\(r\)\.device: /],
    [{ name: "r", metric: [] }, /\(r\)\.metric: /],
    [{ name: "r", metrics: "t" }, /\(r\)\.metrics: unknown field/],
    [{ name: "r", detector: "range" }, /\(r\)\.params: needs above, below or both/],
    [{ name: "r", detector: "range", params: { above: "x" } }, /\(r\)\.params\.above: /],
    [{ name: "r", for: "soon" }, /\(r\)\.for: "soon" is not a duration/],
    [{ name: "r", threshold: 0.2 }, /\(r\)\.threshold: /],
    [{ name: "r", threshold: 0.6, clearThreshold: 0.7 }, /\(r\)\.clearThreshold: must not exceed threshold/],
    [{ name: "r", severity: "bad" }, /\(r\)\.severity: /],
    [{ name: "r", labels: { "a b": "x" } }, /\(r\)\.labels\.a b: /],
    [
      { name: "r", annotations: { text: "{{devise}}" } },
      /\(r\)\.annotations\.text: \{\{devise\}\} is unknown/,
    ],
    [{ name: "r", activeHours: { from: "8" } }, /\(r\)\.activeHours/],
    [{ name: "r", flapping: { alerts: 1, within: "1m" } }, /\(r\)\.flapping/],
    [{ name: "r", detector: "silence" }, /\(r\)\.params\.after: /],
    [{ name: "r", detector: "silence", params: { after: "1m" }, for: "1m" }, /\(r\)\.for: has no meaning/],
    [
      { name: "r", detector: "silence", metric: "t", params: { after: "1m" } },
      /\(r\)\.metric: a silent device/,
    ],
    ["text", /^rules\[0\]: /],
    [null, /^rules\[0\]: /],
  ];
  for (const [rule, message] of cases) {
    const problems = problemsOf(rule);
    assert.ok(
      problems.some((problem) => message.test(problem)),
      `${JSON.stringify(rule)}: ${problems.join(" | ")}`,
    );
  }
  assert.deepEqual(problemsOf({ name: "a" }, { name: "b" }, { name: "a" }), [
    "rules[2] (a).name: rules[0] has this name already",
  ]);
});

test("the default rules are valid, and say what they are about", () => {
  assert.deepEqual(problemsOf(...DEFAULT_RULES), []);
});

test("a version stands for the meaning: not for the order of fields or for defaults written out", () => {
  const base = { detector: "range", params: { above: 80, below: 0 } };
  const { version } = compiled(base);
  assert.match(version, /^[0-9a-f]{12}$/);
  assert.equal(compiled({ params: { below: 0, above: 80 }, detector: "range" }).version, version);
  assert.equal(compiled({ ...base, severity: "warning", for: "0s", device: "*" }).version, version);
  for (const change of [{ severity: "info" }, { for: "1s" }, { device: "a*" }, { labels: { a: "b" } }])
    assert.notEqual(compiled({ ...base, ...change }).version, version, JSON.stringify(change));
});

test("globs match whole names, one of several is enough, and no pattern is slow", () => {
  const cases: [glob: string, name: string, matches: boolean][] = [
    ["*", "", true],
    ["*", "a.b:c", true],
    ["pump-*", "pump-1", true],
    ["pump-*", "apump-1", false],
    ["*-temp", "a-temp-b", false],
    ["*-temp", "a-temp-temp", true],
    ["p?mp", "pump", true],
    ["p?mp", "pmp", false],
    ["a.c", "abc", false],
    ["a*b*c", "a-b-b-c", true],
    ["a**c", "ac", true],
  ];
  for (const [glob, name, matches] of cases)
    assert.equal(matchesGlob(glob, name), matches, `${glob} ${name}`);
  assert.ok(matchesGlob(["x*", "y*"], "y1"));
  assert.equal(matchesGlob(`${"*a".repeat(60)}b`, "a".repeat(128)), false);
  const rule = compileRule(ruleSchema.parse({ name: "r", device: ["a*", "b*"], metric: "temp?" }));
  assert.deepEqual(
    [rule.matches("b1", "temp1"), rule.matches("c1", "temp1"), rule.matches("a", "temp")],
    [true, false, false],
  );
});

test("active hours are UTC, over midnight, and say when they begin next", () => {
  const at = (text: string) => Date.parse(`2026-01-${text}Z`); // the 1st is a Thursday
  const week = compiled({
    activeHours: { days: ["mon", "tue", "wed", "thu", "fri"], from: "08:00", to: "18:00" },
  });
  const night = compiled({ activeHours: [{ days: ["fri"], from: "22:00", to: "02:00" }] });
  const active = (rule: typeof week, text: string) => isActive(rule.activeHours, at(text));
  assert.deepEqual(
    ["01T07:59", "01T08:00", "01T17:59", "01T18:00", "03T12:00"].map((text) => active(week, text)),
    [false, true, true, false, false],
  );
  assert.deepEqual(
    ["02T21:59", "02T22:00", "03T01:59", "03T02:00", "01T23:00"].map((text) => active(night, text)),
    [false, true, true, false, false],
  );
  assert.equal(nextActive(week.activeHours, at("02T18:00")), at("05T08:00"));
  assert.equal(nextActive(night.activeHours, at("03T02:00")), at("09T22:00"));
  assert.equal(nextActive([], at("03T02:00")), at("03T02:00"));
});

test("spans in words", () => {
  const cases: [number, string][] = [
    [500, "500 ms"],
    [90_000, "1 min 30 s"],
    [7_500_000, "2 h 5 min"],
    [90_000_000, "1 d 1 h"],
  ];
  for (const [ms, text] of cases) assert.equal(spanText(ms), text);
});
