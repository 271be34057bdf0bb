/**
 * Knows an MQTT re-send for the message it repeats, where the payload alone cannot tell: readings without a `ts`.
 *
 * A re-send (QoS 1 or 2, DUP flag set) of a remembered (client, packet id, payload) gets the stamp of the first:
 * the same nonce, hence the same reading id, and the same receive time. The least recently used is forgotten.
 */
import { hash } from "node:crypto";

/** How a message came in. */
export interface Delivery {
  /** Absent for a message of the broker itself. */
  clientId?: string;
  qos: 0 | 1 | 2;
  dup: boolean;
  /** Packet identifier; absent at QoS 0. */
  messageId?: number;
  payload: Uint8Array;
  ingestTs: number;
}

export interface Stamp {
  /** Unique per accepted message. */
  nonce: string;
  /** Time of first receipt, epoch milliseconds. */
  receivedTs: number;
}

export class Repeats {
  readonly #runId: string;
  readonly #capacity: number;
  readonly #stamps = new Map<string, Stamp>();
  #counter = 0;

  /** @param runId unique per run of the gateway */
  constructor(runId: string, capacity: number) {
    this.#runId = runId;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#stamps.size;
  }

  stamp(delivery: Delivery): Stamp {
    if (delivery.qos === 0 || delivery.clientId === undefined) return this.#fresh(delivery);
    const digest = hash("sha256", delivery.payload, "base64");
    const key = `${delivery.messageId}/${digest}/${delivery.clientId}`;
    const known = delivery.dup ? this.#stamps.get(key) : undefined;
    const stamp = known ?? this.#fresh(delivery);
    this.#stamps.delete(key);
    this.#stamps.set(key, stamp);
    if (this.#stamps.size > this.#capacity) {
      for (const oldest of this.#stamps.keys()) {
        this.#stamps.delete(oldest);
        break;
      }
    }
    return stamp;
  }

  #fresh(delivery: Delivery): Stamp {
    this.#counter++;
    return { nonce: `${this.#runId}/${this.#counter}`, receivedTs: delivery.ingestTs };
  }
}
