/**
 * Bounds what is in flight over all connections: PUBLISH packets handed to the broker and not yet acked.
 *
 * A gate that finds no room waits in line and is called when there is some, one after the other, so that no
 * connection starves.
 */
import type { ConnectionLimits } from "../limits.js";

/** Called once after a wait; it may wait again. */
export interface Waiting {
  roomAgain(): void;
}

export class Admission {
  readonly #limits: Pick<ConnectionLimits, "maxInFlightMessages" | "maxInFlightBytes">;
  readonly #line = new Set<Waiting>();
  readonly #idle: (() => void)[] = [];
  #messages = 0;
  #sizeBytes = 0;
  /** Bytes read ahead by all gates; each gate keeps it. */
  heldBytes = 0;
  /** Connections not read because of back-pressure; each gate keeps it. */
  paused = 0;

  constructor(limits: Pick<ConnectionLimits, "maxInFlightMessages" | "maxInFlightBytes">) {
    this.#limits = limits;
  }

  get messages(): number {
    return this.#messages;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** @returns false when there is no room. A single packet always fits an empty house. */
  tryEnter(sizeBytes: number): boolean {
    if (this.#messages > 0 && !this.#hasRoom(sizeBytes)) return false;
    this.#messages++;
    this.#sizeBytes += sizeBytes;
    return true;
  }

  leave(sizeBytes: number): void {
    this.#messages--;
    this.#sizeBytes -= sizeBytes;
    this.#wake();
    if (this.#messages === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  wait(gate: Waiting): void {
    this.#line.add(gate);
  }

  forget(gate: Waiting): void {
    this.#line.delete(gate);
  }

  /** Resolves when nothing is in flight. */
  idle(): Promise<void> {
    if (this.#messages === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #hasRoom(sizeBytes: number): boolean {
    const { maxInFlightMessages, maxInFlightBytes } = this.#limits;
    return this.#messages < maxInFlightMessages && this.#sizeBytes + sizeBytes <= maxInFlightBytes;
  }

  /** Each gate in line gets one turn: those that wait again are not asked twice. */
  #wake(): void {
    let turns = this.#line.size;
    for (const gate of this.#line) {
      if (turns-- === 0 || !this.#hasRoom(0)) break;
      this.#line.delete(gate);
      const before = this.#messages;
      gate.roomAgain();
      // It found too little room for what it has: the next one to leave asks the next in line.
      if (this.#messages === before && this.#line.has(gate)) break;
    }
  }
}
