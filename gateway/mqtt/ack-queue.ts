/**
 * Releases the acks of one connection in the order its messages came [MQTT-4.6.0-2], whatever order their appends
 * finish in.
 *
 * A QoS 2 re-send while its first is held waits behind it: the broker then knows the packet id when the re-send
 * reaches it, and publishes once.
 */

/** One message whose ack is held. */
export interface Held {
  readonly qos: 0 | 1 | 2;
  readonly messageId: number | undefined;
  /** Sends the ack. Called once, in order. */
  readonly release: () => void;
  settled: boolean;
}

export class AckQueue {
  readonly #queue: Held[] = [];
  /** A QoS 2 packet is on its way into the broker's memory; its re-send is next. */
  #pausing = false;

  get length(): number {
    return this.#queue.length;
  }

  add(qos: 0 | 1 | 2, messageId: number | undefined, release: () => void): Held {
    const held: Held = { qos, messageId, release, settled: false };
    this.#queue.push(held);
    return held;
  }

  /** The message is where it should be: its ack may go when all earlier ones have gone. */
  settle(held: Held): void {
    held.settled = true;
    if (this.#queue[0] === held) this.#flush();
  }

  #flush(): void {
    while (this.#queue[0]?.settled && !this.#pausing) {
      const released = this.#queue.shift()!;
      const next = this.#queue[0];
      released.release();
      if (released.qos === 2 && next?.qos === 2 && next.messageId === released.messageId) {
        this.#pausing = true;
        setImmediate(() => {
          this.#pausing = false;
          this.#flush();
        });
      }
    }
  }
}
