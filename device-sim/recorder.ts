/**
 * Records a run while it happens: in memory, and in a file when asked for, with write-ahead order.
 */
import type { Ledger, LedgerEnd, LedgerEntry } from "./ledger.js";
import type { LedgerFile } from "./ledger-file.js";

export class Recorder {
  readonly ledger: Ledger;
  readonly #file: LedgerFile | undefined;
  #waiting: (() => void)[] = [];
  /** Counters for progress; sends include re-sends. */
  sends = 0;
  acked = 0;

  constructor(ledger: Ledger, file: LedgerFile | undefined) {
    this.ledger = ledger;
    this.#file = file;
  }

  /** Records a first send, then runs `send`. @returns the entry number */
  firstSend(entry: LedgerEntry, send: () => void): number {
    const n = this.ledger.add(entry);
    this.#file?.add(n, entry);
    this.#later(send);
    return n;
  }

  /** Records another send of entry `n`, then runs `send`. */
  resend(n: number, send: () => void): void {
    this.ledger.addSend(n);
    this.#file?.addSend(n);
    this.#later(send);
  }

  ack(n: number, atMs: number): void {
    if (this.ledger.isAcked(n)) return;
    this.acked++;
    this.ledger.addAck(n, atMs);
    this.#file?.addAck(n, atMs);
  }

  /** Writes out what is buffered, acks included. */
  flush(): void {
    this.#file?.flush();
  }

  /** Records how the run ended, and closes the file. */
  close(end: LedgerEnd): void {
    this.ledger.end = end;
    this.#file?.setEnd(end);
    this.#file?.close();
  }

  /** One write for all sends of an event-loop turn: the file is ahead of the wire at little cost. */
  #later(send: () => void): void {
    this.sends++;
    if (this.#waiting.push(send) === 1) setImmediate(() => this.#run());
  }

  #run(): void {
    const sends = this.#waiting;
    this.#waiting = [];
    this.#file?.flush();
    for (const send of sends) send();
  }
}
