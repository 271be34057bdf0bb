import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pino } from "pino";
import { hasCode } from "../contracts/errors.js";
import type { Rule } from "../processors/alerting/rules.js";
import { configSchema } from "../runtime/config/schema.js";
import { VirtualClock } from "../testkit/virtual-clock.js";
import { parseRulesFile, rulesOf, watchRulesFile } from "./rules.js";

function problemOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(hasCode(error, "CONFIG_INVALID"), String(error));
    return error.message;
  }
  throw new Error("no problem was found");
}

test("a rules file is taken whole or refused with what is wrong", () => {
  assert.deepEqual(
    parseRulesFile("rules:\n  - name: a\n  - { name: b, detector: range, params: { above: 1 } }", "f").map(
      ({ name }) => name,
    ),
    ["a", "b"],
  );
  assert.match(
    problemOf(() => parseRulesFile("rules: [", "f")),
    /^f: /,
  );
  assert.match(
    problemOf(() => parseRulesFile("- name: a", "f")),
    /^f: must hold a list/,
  );
  assert.match(
    problemOf(() => parseRulesFile("rules: []\nmore: 1", "f")),
    /^f: more: unknown field/,
  );
  assert.match(
    problemOf(() => parseRulesFile("rules: [{ name: a }, { name: b, metricc: x }]", "f")),
    /^f: rules\[1\] \(b\)\.metricc: unknown field/,
  );
});

test("rules come from the configuration, the file or the defaults, and not from two places", () => {
  const config = (alerts: object) => configSchema.parse({ alerts });
  assert.deepEqual(
    rulesOf(config({})).map(({ name }) => name),
    ["anomaly", "device-silent"],
  );
  assert.deepEqual(rulesOf(config({ rules: [] })), []);
  assert.match(
    problemOf(() => rulesOf(config({ rules: [{ name: "a" }], rulesFile: "f.yaml" }))),
    /not both/,
  );
  assert.match(
    problemOf(() => rulesOf(config({ rulesFile: "/no/such/file.yaml" }))),
    /cannot read/,
  );
});

test("a changed file is put in force, a bad one is refused once and the old rules stay", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "sluice-rules-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, "rules.yaml");
  const write = (text: string) => writeFileSync(file, text);
  write("rules: [{ name: one }]");
  const clock = new VirtualClock(0);
  const lines: { msg: string; problem?: string }[] = [];
  const logger = pino({ level: "info" }, { write: (line) => lines.push(JSON.parse(line)) });
  const inForce: string[][] = [];
  const processor = {
    useRules: async (rules: readonly Rule[]) => void inForce.push(rules.map(({ name }) => name)),
  };
  const watch = watchRulesFile(configSchema.parse({ alerts: { rulesFile: file } }), processor, clock, logger);
  await clock.advance(3_000);
  write("rules: [{ name: one }, { name: two }]");
  await clock.advance(3_000);
  write("rules: [{ name: one, threshold: 7 }]");
  await clock.advance(5_000);
  rmSync(file);
  await clock.advance(5_000);
  write("rules: [{ name: three }]");
  await clock.advance(3_000);
  await watch.close();
  assert.deepEqual(inForce, [["one"], ["one", "two"], ["three"]]);
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    [
      "new alert rules",
      "alert rules refused: the old ones stay",
      "alert rules refused: the old ones stay",
      "new alert rules",
    ],
  );
  assert.match(lines[1]!.problem!, /rules\[0\] \(one\)\.threshold/);
  assert.match(lines[2]!.problem!, /cannot read/);
});
