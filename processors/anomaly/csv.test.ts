import assert from "node:assert/strict";
import { test } from "node:test";
import { CsvError, detectCsv, epochMs } from "./csv.js";

async function* from(lines: string[]): AsyncIterable<string> {
  yield* lines;
}

async function detect(lines: string[], name = "range", params: unknown = { above: 5 }): Promise<string[]> {
  const out: string[] = [];
  for await (const line of detectCsv(from(lines), name, params)) out.push(line);
  return out;
}

test("adds a score and keeps timestamp and value as written", async () => {
  const lines = [
    "timestamp,value",
    "2014-04-01 00:00:00,20.0",
    "2014-04-01 00:05:00,3e0",
    "2014-04-01 00:10:00,+5.10",
  ];
  assert.deepEqual(await detect(lines), [
    "timestamp,value,anomaly_score",
    "2014-04-01 00:00:00,20.0,1",
    "2014-04-01 00:05:00,3e0,0",
    "2014-04-01 00:10:00,+5.10,1",
  ]);
});

test("takes columns in any order, leaves others out, and skips blank lines", async () => {
  const lines = [
    '\uFEFFid,"value",note,timestamp\r',
    '1,9,"a, ""b""",1700000000\r',
    "",
    "2,1,,1700000060",
    "\r",
  ];
  assert.deepEqual(await detect(lines), [
    "timestamp,value,anomaly_score",
    "1700000000,9,1",
    "1700000060,1,0",
  ]);
});

test("times are UTC where they say nothing else", () => {
  const at = Date.UTC(2014, 3, 1, 10, 5, 6, 789);
  for (const text of [
    "2014-04-01 10:05:06.789",
    "2014-04-01 10:05:06.789000",
    "2014-04-01T10:05:06.789Z",
    "2014-04-01T12:05:06.789+02:00",
    "2014-04-01T12:05:06.789+0200",
    String(at),
    String(at / 1000),
  ]) {
    assert.equal(epochMs(text), at, text);
  }
  assert.equal(epochMs("2014-04-01 10:05"), Date.UTC(2014, 3, 1, 10, 5));
  assert.equal(epochMs("2014-04-01"), Date.UTC(2014, 3, 1));
  for (const text of ["", "today", "2014-13-01 00:00:00", "01/04/2014", "NaN", "Infinity"])
    assert.equal(epochMs(text), undefined, text);
});

test("an error names line and column", async () => {
  const cases: [string[], number, string][] = [
    [[], 1, "timestamp"],
    [["timestamp,reading", "1,2"], 1, "value"],
    [["timestamp,value", "1,2", "soon,2"], 3, "timestamp"],
    [["timestamp,value", "", "1,x"], 3, "value"],
    [["timestamp,value", "1,NaN"], 2, "value"],
    [["timestamp,value", "1,"], 2, "value"],
    [["timestamp,value", "1"], 2, "value"],
  ];
  for (const [lines, line, column] of cases) {
    await assert.rejects(detect(lines), (error) => {
      assert.ok(error instanceof CsvError);
      assert.deepEqual([error.line, error.column], [line, column]);
      assert.match(error.message, new RegExp(`line ${line}, column ${column}: `));
      return true;
    });
  }
});

test("a time that steps back is taken as the latest before it", async () => {
  const rows = ["timestamp,value", "100,0", "50,10", "110,20"];
  const scores = (await detect(rows, "rate-of-change", { perSecond: 1.5 }))
    .slice(1)
    .map((row) => Number(row.split(",")[2]) >= 0.5);
  assert.deepEqual(scores, [false, false, false]);
});

test("an unknown detector is refused with the names there are", async () => {
  for (const name of ["nope", "toString"])
    await assert.rejects(detect(["timestamp,value"], name, {}), /there are: novelty, range/);
});

test("rows are scored as they come: no waiting for the end", async () => {
  async function* endless(): AsyncIterable<string> {
    yield "timestamp,value";
    for (let i = 0; ; i++) yield `${i},${i}`;
  }
  let rows = 0;
  for await (const _ of detectCsv(endless(), "novelty", {})) if (++rows === 100) break;
  assert.equal(rows, 100);
});
