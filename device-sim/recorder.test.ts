import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Ledger, type LedgerEntry, type LedgerHeader } from "./ledger.js";
import { LedgerFile, readLedger } from "./ledger-file.js";
import { Recorder } from "./recorder.js";

const dir = mkdtempSync(join(tmpdir(), "sluice-recorder-"));
after(() => rmSync(dir, { recursive: true }));

const HEADER: LedgerHeader = {
  v: 1,
  kind: "sluice.ledger",
  seed: 1,
  devices: 1,
  prefix: "t-",
  boot: "b1",
  metrics: ["m"],
  qos: 1,
  startedAt: 0,
  anomalies: [],
};

function entry(seq: number): LedgerEntry {
  return { device: 0, labels: 0, dueMs: 0, sentMs: 0, truth: { end: "reading", seq, ts: seq, values: [1] } };
}

test("when a message is sent, the file already says so: first sends and re-sends alike", async () => {
  const path = join(dir, "ahead");
  const recorder = new Recorder(new Ledger(HEADER), new LedgerFile(path, HEADER));
  const lines = () => readFileSync(path, "utf8").trimEnd().split("\n").slice(1);
  const sent: number[] = [];
  for (let seq = 0; seq < 3; seq++) {
    const n = recorder.firstSend(entry(seq), () => {
      assert.ok(lines().some((line) => line.startsWith(`["r",${seq},`)));
      sent.push(seq);
    });
    assert.equal(n, seq);
  }
  assert.equal(sent.length, 0, "nothing is sent before it is written");
  await new Promise(setImmediate);
  assert.deepEqual(sent, [0, 1, 2]);

  recorder.resend(1, () => {
    assert.ok(lines().includes('["s",1]'));
    sent.push(1);
  });
  await new Promise(setImmediate);
  assert.deepEqual(sent, [0, 1, 2, 1]);
  recorder.ack(1, 5);
  recorder.ack(1, 9);
  recorder.close({ unfinished: 0, aborted: true });
  assert.deepEqual([recorder.sends, recorder.acked], [4, 1]);
  const read = await readLedger(path);
  assert.deepEqual(read.end, { unfinished: 0, aborted: true });
  assert.deepEqual([read.size, read.sends(1), read.ackedMs(1)], [3, 2, 5]);
});
