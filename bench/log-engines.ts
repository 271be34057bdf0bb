/**
 * Two ways to keep the embedded log on disk, side by side in one run: LMDB with one value per batch (the adapter
 * itself, through its port) and plain segment files (the least that could do the job: one file, length-prefixed
 * records, one fdatasync per group commit). Records of 150 B, batches of 100 and 1000, several appends in flight.
 *
 * Run: node --import tsx bench/log-engines.ts [records per measurement]
 */
import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEmbeddedLog } from "../adapters/log/embedded/index.js";
import type { AppendRecord } from "../contracts/ports/log.js";
import { systemClock } from "../runtime/clock.js";
import { createLogger } from "../runtime/logger.js";

const VALUE_BYTES = 150;
const DEVICES = 5000;
const ROUNDS = 3;
const IN_FLIGHT = 16;
const TOPIC = "bench";

interface Engine {
  append(records: readonly AppendRecord[]): Promise<void>;
  /** Reads everything; returns the number of records and a sum over them, so that no work can be skipped. */
  readAll(): Promise<{ records: number; checksum: number }>;
  close(): Promise<void>;
}

async function lmdbEngine(dir: string): Promise<Engine> {
  const log = await openEmbeddedLog({ dir, clock: systemClock, logger: createLogger("warn") });
  await log.ensureTopics([{ name: TOPIC, partitions: 1 }]);
  return {
    append: (records) => log.append(TOPIC, records),
    async readAll() {
      let records = 0;
      let checksum = 0;
      for await (const batch of log.read(TOPIC, 0, 0)) {
        records += batch.length;
        for (const one of batch) checksum += one.value[0]! + one.key!.length + (one.timestamp % 7);
      }
      return { records, checksum };
    },
    close: () => log.close(),
  };
}

/** Record: u32 length of what follows, f64 timestamp, u16 key length, key, value. */
class Segment implements Engine {
  readonly #file: FileHandle;
  #waiting: { bytes: Buffer; resolve(): void; reject(error: unknown): void }[] = [];
  #writing = false;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  append(records: readonly AppendRecord[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ bytes: encodeRows(records), resolve, reject });
      if (!this.#writing) void this.#write();
    });
  }

  async readAll(): Promise<{ records: number; checksum: number }> {
    let records = 0;
    let checksum = 0;
    let at = 0;
    let rest = Buffer.alloc(0);
    for (;;) {
      const chunk = Buffer.allocUnsafe(1024 * 1024);
      const { bytesRead } = await this.#file.read(chunk, 0, chunk.length, at);
      if (bytesRead === 0) return { records, checksum };
      at += bytesRead;
      const bytes: Buffer = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
      let from = 0;
      const batch: { timestamp: number; key: string; value: Uint8Array }[] = [];
      while (from + 4 <= bytes.length) {
        const to = from + 4 + bytes.readUInt32LE(from);
        if (to > bytes.length) break;
        const keyTo = from + 14 + bytes.readUInt16LE(from + 12);
        batch.push({
          timestamp: bytes.readDoubleLE(from + 4),
          key: bytes.toString("latin1", from + 14, keyTo),
          value: new Uint8Array(bytes.buffer, bytes.byteOffset + keyTo, to - keyTo),
        });
        from = to;
      }
      rest = Buffer.from(bytes.subarray(from));
      records += batch.length;
      for (const one of batch) checksum += one.value[0]! + one.key.length + (one.timestamp % 7);
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      try {
        await this.#file.writev(group.map((one) => one.bytes));
        await this.#file.datasync();
        for (const one of group) one.resolve();
      } catch (error) {
        for (const one of group) one.reject(error);
      }
    }
    this.#writing = false;
  }
}

function encodeRows(records: readonly AppendRecord[]): Buffer {
  let size = 0;
  for (const { key = "", value } of records) size += 14 + key.length + value.length;
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const { key = "", value, timestamp } of records) {
    bytes.writeUInt32LE(10 + key.length + value.length, at);
    bytes.writeDoubleLE(timestamp, at + 4);
    bytes.writeUInt16LE(key.length, at + 12);
    bytes.write(key, at + 14, "latin1");
    bytes.set(value, at + 14 + key.length);
    at += 14 + key.length + value.length;
  }
  return bytes;
}

async function segmentEngine(dir: string): Promise<Engine> {
  return new Segment(await open(join(dir, "segment.log"), "a+"));
}

const ENGINES: Record<string, (dir: string) => Promise<Engine>> = {
  "LMDB, one value per batch": lmdbEngine,
  "segment file": segmentEngine,
};

function makeBatches(batchSize: number): AppendRecord[][] {
  const distinct = Math.ceil(DEVICES / batchSize);
  return Array.from({ length: distinct }, (_, b) =>
    Array.from({ length: batchSize }, (_, i) => ({
      key: `device-${(b * batchSize + i) % DEVICES}`,
      value: Buffer.alloc(VALUE_BYTES, 32 + ((b + i) % 90)),
      timestamp: 1_700_000_000_000 + b * batchSize + i,
    })),
  );
}

/** Of one phase: records per second, and processor time (all threads, kernel included) per record. */
interface Phase {
  rate: number;
  cpuMicros: number;
}

async function timed(records: number, work: () => Promise<void>): Promise<Phase> {
  const cpuFrom = process.cpuUsage();
  const from = performance.now();
  await work();
  const { user, system } = process.cpuUsage(cpuFrom);
  return { rate: (records / (performance.now() - from)) * 1000, cpuMicros: (user + system) / records };
}

/** Durable appends, then reading them back. */
async function measure(
  make: (dir: string) => Promise<Engine>,
  batchSize: number,
  total: number,
): Promise<{ append: Phase; read: Phase; checksum: number }> {
  const dir = await mkdtemp(join(tmpdir(), "sluice-bench-"));
  const engine = await make(dir);
  try {
    const batches = makeBatches(batchSize);
    const calls = Math.ceil(total / batchSize);
    let next = 0;
    const worker = async () => {
      while (next < calls) await engine.append(batches[next++ % batches.length]!);
    };
    const stored = calls * batchSize;
    const append = await timed(stored, async () => {
      await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
    });
    let result = { records: 0, checksum: 0 };
    const read = await timed(stored, async () => {
      result = await engine.readAll();
    });
    if (result.records !== stored) throw new Error(`read ${result.records} of ${stored} records`);
    return { append, read, checksum: result.checksum };
  } finally {
    await engine.close();
    await rm(dir, { recursive: true, force: true });
  }
}

function median(numbers: number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
}

/** One row of the table: each engine's median rate and processor time, and the ratio of the rates. */
function compare(phases: [name: string, rounds: Phase[]][]): Record<string, string> {
  const row: Record<string, string> = {};
  const rates: number[] = [];
  for (const [name, rounds] of phases) {
    const rate = median(rounds.map((round) => round.rate));
    const cpuMicros = median(rounds.map((round) => round.cpuMicros));
    rates.push(rate);
    row[name] = `${(rate / 1e6).toFixed(2)} M/s, ${cpuMicros.toFixed(2)} us CPU`;
  }
  row.ratio = (rates[0]! / rates[1]!).toFixed(2);
  return row;
}

async function main(): Promise<void> {
  const total = Number(process.argv[2] ?? 1_000_000);
  const names = Object.keys(ENGINES);
  const rows: Record<string, Record<string, string>> = {};
  for (const batchSize of [100, 1000]) {
    const results = new Map(names.map((name) => [name, { append: [] as Phase[], read: [] as Phase[] }]));
    const checksums = new Set<number>();
    for (let round = 0; round < ROUNDS; round++) {
      for (const [name, make] of Object.entries(ENGINES)) {
        const { append, read, checksum } = await measure(make, batchSize, total);
        results.get(name)!.append.push(append);
        results.get(name)!.read.push(read);
        checksums.add(checksum);
      }
    }
    if (checksums.size !== 1) throw new Error("the engines do not return the same records");
    for (const what of ["append", "read"] as const) {
      rows[`${what}, batch ${batchSize}`] = compare(names.map((name) => [name, results.get(name)![what]]));
    }
  }
  console.log(
    `${total} records of ${VALUE_BYTES} B, ${IN_FLIGHT} appends in flight, median of ${ROUNDS} rounds`,
  );
  console.table(rows);
}

await main();
