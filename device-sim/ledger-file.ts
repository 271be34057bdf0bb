/**
 * The ledger on disk: JSON lines, append-only.
 *
 * A line stands in the file before the send it tells of happens (see {@link LedgerFile.flush}), so after a kill -9 of
 * the simulator the file names every message that can have reached the gateway; at most the latest acks are missing,
 * which turns "acked" into "not known", never into a false alarm. A torn last line is dropped on reading. The file is
 * synced to the disk when it is closed: it outlives the process at any time, the machine only then.
 */
import { closeSync, createReadStream, fsyncSync, openSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import type { ReasonCode } from "../contracts/errors.js";
import { SluiceError } from "../contracts/errors.js";
import { Ledger, type LedgerEnd, type LedgerEntry, type LedgerHeader } from "./ledger.js";

/** Lines after the header; `n` is the entry number. docs/simulator.md explains the fields. */
type Line =
  | [
      "r",
      n: number,
      device: number,
      seq: number,
      ts: number,
      values: (number | null)[],
      labels: number,
      dueMs: number,
      sentMs: number,
    ]
  | [
      "i",
      n: number,
      device: number,
      reason: ReasonCode,
      topic: string,
      payload: string,
      labels: number,
      dueMs: number,
      sentMs: number,
    ]
  | ["s", n: number]
  | ["a", n: number, atMs: number]
  | ["e", end: LedgerEnd];

/** Writes a ledger file. Lines are buffered until {@link flush}. */
export class LedgerFile {
  readonly #fd: number;
  #buffer = "";

  /** Creates the file. @throws SluiceError CONFIG_INVALID when it exists or cannot be made */
  constructor(path: string, header: LedgerHeader) {
    try {
      this.#fd = openSync(path, "wx");
    } catch (cause) {
      throw new SluiceError("CONFIG_INVALID", `cannot create the ledger ${path}`, { cause });
    }
    this.#buffer = `${JSON.stringify(header)}\n`;
    this.flush();
  }

  add(n: number, { device, labels, dueMs, sentMs, truth }: LedgerEntry): void {
    this.#put(
      truth.end === "reading"
        ? [
            "r",
            n,
            device,
            truth.seq,
            truth.ts,
            truth.values.map((v) => v ?? null),
            labels,
            tenths(dueMs),
            tenths(sentMs),
          ]
        : [
            "i",
            n,
            device,
            truth.reason,
            truth.topic,
            truth.payload.toString("base64"),
            labels,
            tenths(dueMs),
            tenths(sentMs),
          ],
    );
  }

  addSend(n: number): void {
    this.#put(["s", n]);
  }

  addAck(n: number, atMs: number): void {
    this.#put(["a", n, tenths(atMs)]);
  }

  setEnd(end: LedgerEnd): void {
    this.#put(["e", end]);
  }

  /** Hands the buffered lines to the operating system: from here on they outlive this process. */
  flush(): void {
    if (this.#buffer === "") return;
    let rest = Buffer.from(this.#buffer);
    this.#buffer = "";
    while (rest.length > 0) rest = rest.subarray(writeSync(this.#fd, rest));
  }

  close(): void {
    this.flush();
    fsyncSync(this.#fd);
    closeSync(this.#fd);
  }

  #put(line: Line): void {
    this.#buffer += `${JSON.stringify(line)}\n`;
  }
}

/** A tenth of a millisecond is finer than what is measured. */
function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/**
 * Reads a ledger back. A torn last line is left out.
 * @throws SluiceError LOG_CORRUPT when it is not a ledger, or damaged before its last line
 */
export async function readLedger(path: string): Promise<Ledger> {
  let ledger: Ledger | undefined;
  let number = 0;
  let damaged: { number: number; cause: unknown } | undefined;
  for await (const text of createInterface({
    input: createReadStream(path),
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    number++;
    // Only the last line may be torn: more after it means damage.
    if (damaged) throw corrupt(path, damaged.number, damaged.cause);
    try {
      if (ledger) apply(ledger, JSON.parse(text) as Line);
      else ledger = new Ledger(asHeader(JSON.parse(text)));
    } catch (cause) {
      damaged = { number, cause };
    }
  }
  if (!ledger) throw corrupt(path, 1, damaged?.cause);
  return ledger;
}

function corrupt(path: string, line: number, cause: unknown): SluiceError {
  return new SluiceError("LOG_CORRUPT", `${path}:${line} is not a line of a ledger`, { cause });
}

function asHeader(value: unknown): LedgerHeader {
  const header = value as LedgerHeader;
  if (header?.kind !== "sluice.ledger" || header.v !== 1) throw new Error("not a ledger of version 1");
  return header;
}

function apply(ledger: Ledger, line: Line): void {
  if (line[0] === "s") ledger.addSend(known(ledger, line[1]));
  else if (line[0] === "a") ledger.addAck(known(ledger, line[1]), line[2]);
  else if (line[0] === "e") ledger.end = line[1];
  else addEntry(ledger, line);
}

function addEntry(ledger: Ledger, line: Extract<Line, ["r" | "i", ...unknown[]]>): void {
  const [, n, device] = line;
  if (n !== ledger.size) throw new Error(`entry ${n} where ${ledger.size} was due`);
  const [labels, dueMs, sentMs] = [line[6], line[7], line[8]];
  if (line[0] === "r") {
    const values = line[5].map((value) => value ?? undefined);
    ledger.add({
      device,
      labels,
      dueMs,
      sentMs,
      truth: { end: "reading", seq: line[3], ts: line[4], values },
    });
  } else if (line[0] === "i") {
    const payload = Buffer.from(line[5], "base64");
    ledger.add({
      device,
      labels,
      dueMs,
      sentMs,
      truth: { end: "invalid", reason: line[3], topic: line[4], payload },
    });
  } else {
    throw new Error(`unknown line ${String(line[0])}`);
  }
}

function known(ledger: Ledger, n: number): number {
  if (!(n >= 0 && n < ledger.size)) throw new Error(`no entry ${n}`);
  return n;
}
