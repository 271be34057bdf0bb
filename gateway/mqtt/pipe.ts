/**
 * The broker's end of a connection: a Duplex in process. The broker believes it to be the socket.
 */
import { Duplex } from "node:stream";
import type { Gate } from "./gate.js";

/** Bytes the broker may be behind before packets are held in the gate, and a subscriber behind the broker. */
const BUFFER_BYTES = 64 * 1024;

export class Pipe extends Duplex {
  readonly gate: Gate;

  constructor(gate: Gate) {
    super({ readableHighWaterMark: BUFFER_BYTES, writableHighWaterMark: BUFFER_BYTES });
    this.gate = gate;
  }

  override _read(): void {
    this.gate.brokerWantsMore();
  }

  /**
   * The broker writes whole packets corked, so one call carries whole packets: what the gate writes by itself
   * (PINGRESP) cannot fall into the middle of one.
   */
  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.gate.toSocket(
      chunks.length === 1 ? chunks[0]!.chunk : Buffer.concat(chunks.map((c) => c.chunk)),
      done,
    );
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.gate.toSocket(chunk, done);
  }

  override _destroy(_error: Error | null, done: (error?: Error | null) => void): void {
    this.gate.brokerClosed();
    done(null);
  }
}
