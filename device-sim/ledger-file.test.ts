import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { hasCode } from "../contracts/errors.js";
import { Ledger, type LedgerEntry, type LedgerHeader } from "./ledger.js";
import { LedgerFile, readLedger } from "./ledger-file.js";

const dir = mkdtempSync(join(tmpdir(), "sluice-ledger-"));
after(() => rmSync(dir, { recursive: true }));

const HEADER: LedgerHeader = {
  v: 1,
  kind: "sluice.ledger",
  seed: 7,
  devices: 3,
  prefix: "t-",
  boot: "b1",
  metrics: ["temperature", "humidity"],
  qos: 1,
  startedAt: 1_732_350_000_000,
  anomalies: [{ kind: "spike", device: 0, metric: "humidity", from: 1, to: 2, magnitude: 3 }],
  baseline: { offsets: { "telemetry.readings": { 0: 5 } }, stats: { received: 1, readings: 2, invalid: 3 } },
};

function entry(i: number): LedgerEntry {
  const at = { device: i % 3, labels: i % 5, dueMs: i * 10.1, sentMs: i * 10.1 + 0.2 };
  if (i % 7 === 0) {
    const payload = Buffer.from([i & 0xff, 0xff, 10, 13]);
    return {
      ...at,
      truth: { end: "invalid", reason: "not_utf8", topic: `devices/x ${i}/telemetry`, payload },
    };
  }
  return { ...at, truth: { end: "reading", seq: i, ts: 1e12 + i, values: [i / 3, i % 2 ? undefined : -i] } };
}

/** Writes the same to a file and to memory. */
function write(path: string, entries: number): Ledger {
  const ledger = new Ledger(HEADER);
  const file = new LedgerFile(path, HEADER);
  for (let i = 0; i < entries; i++) {
    const n = ledger.add(entry(i));
    file.add(n, entry(i));
    if (i % 2 === 0) {
      ledger.addAck(n, i + 0.5);
      file.addAck(n, i + 0.5);
    }
    if (i % 3 === 0) {
      ledger.addSend(n);
      file.addSend(n);
    }
  }
  file.close();
  return ledger;
}

function content(ledger: Ledger) {
  return Array.from({ length: ledger.size }, (_, n) => ({
    device: ledger.device(n),
    labels: ledger.labels(n),
    sends: ledger.sends(n),
    dueMs: ledger.dueMs(n).toFixed(1),
    sentMs: ledger.sentMs(n).toFixed(1),
    ackedMs: ledger.ackedMs(n),
    truth: ledger.invalid(n) ?? ledger.reading(n),
    id: ledger.invalid(n) ? undefined : ledger.readingId(n),
  }));
}

test("a ledger reads back as it was written, beyond the first capacity", async () => {
  const path = join(dir, "round-trip");
  const written = write(path, 3_000);
  const read = await readLedger(path);
  assert.deepEqual(read.header, HEADER);
  assert.deepEqual(content(read), content(written));
  assert.equal(read.find(1, 1), 1);
  assert.equal(read.find(2, 1), undefined);
  assert.equal(read.find(0, 10_000), undefined);
});

test("a last line torn at any byte is left out, what stands before it is kept", async () => {
  const path = join(dir, "torn");
  write(path, 10);
  const bytes = readFileSync(path);
  const lastLine = bytes.lastIndexOf(10, bytes.length - 2) + 1;
  const torn = join(dir, "torn-copy");
  let complete: unknown;
  for (let cut = lastLine; cut < bytes.length - 1; cut++) {
    writeFileSync(torn, bytes.subarray(0, cut));
    const now = content(await readLedger(torn));
    complete ??= now;
    assert.deepEqual(now, complete, `cut at byte ${cut}`);
  }
  assert.notDeepEqual(content(await readLedger(path)), complete);
});

test("damage before the last line is refused, and so is what is not a ledger", async () => {
  const path = join(dir, "damaged");
  write(path, 3);
  appendFileSync(path, '["a",1\n["a",1,5]\n');
  const corrupt = (error: unknown) => hasCode(error, "LOG_CORRUPT");
  await assert.rejects(readLedger(path), corrupt);
  for (const text of ["", "{}\n", "hello\n"]) {
    writeFileSync(path, text);
    await assert.rejects(readLedger(path), corrupt);
  }
});

test("a ledger that exists is never written over", () => {
  const path = join(dir, "exists");
  writeFileSync(path, "precious");
  assert.throws(
    () => new LedgerFile(path, HEADER),
    (error) => hasCode(error, "CONFIG_INVALID"),
  );
  assert.equal(readFileSync(path, "utf8"), "precious");
});
