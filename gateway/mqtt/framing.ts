/**
 * Cuts a byte stream into MQTT packets by their fixed header. Pure: no socket, no clock.
 *
 * Guarantees: a packet longer than the limit is refused from its header, before its body is buffered; a packet
 * that spans chunks takes at most twice the bytes received of it.
 */

export type FrameError = "packet_too_large" | "malformed";

/**
 * Takes the packet in `buffer` at [start, end). The bytes stay valid, and must not be changed.
 * @returns false to stop: the rest of the chunk is not looked at
 */
export type FrameSink = (buffer: Buffer, start: number, end: number) => boolean;

/** A fixed header is a type byte and one to four length bytes. */
const MAX_HEADER_BYTES = 5;
const MIN_PARTIAL_BYTES = 1_024;

export class Framer {
  /** Largest packet, fixed header included. Holds from the next header on. */
  maxPacketBytes: number;
  #partial: Buffer = Buffer.alloc(0);
  #filled = 0;

  constructor(maxPacketBytes: number) {
    this.maxPacketBytes = maxPacketBytes;
  }

  /** @returns how much of the chunk was used (all of it unless the sink stopped), or what is wrong with it */
  push(chunk: Buffer, sink: FrameSink): number | FrameError {
    let at = 0;
    if (this.#filled > 0) {
      const used = this.#fill(chunk);
      if (typeof used === "string") return used;
      at = used;
      const total = this.#total();
      if (typeof total === "string") return total;
      if (total === undefined || this.#filled < total) return at;
      const packet = this.#partial;
      this.#filled = 0;
      this.#partial = Buffer.alloc(0);
      if (!sink(packet, 0, total)) return at;
    }
    while (at < chunk.length) {
      const total = packetLength(chunk, at, chunk.length, this.maxPacketBytes);
      if (typeof total === "string") return total;
      if (total === undefined || at + total > chunk.length) {
        this.#append(chunk, at, chunk.length);
        return chunk.length;
      }
      at += total;
      if (!sink(chunk, at - total, at)) return at;
    }
    return at;
  }

  #total(): number | undefined | FrameError {
    return packetLength(this.#partial, 0, this.#filled, this.maxPacketBytes);
  }

  /** Takes what the unfinished packet lacks: its header first, for that tells how much. */
  #fill(chunk: Buffer): number | FrameError {
    let at = 0;
    let total = this.#total();
    while (total === undefined && at < chunk.length) {
      this.#append(chunk, at, at + 1);
      at++;
      total = this.#total();
    }
    if (typeof total !== "number") return total ?? at;
    const end = Math.min(chunk.length, at + total - this.#filled);
    this.#append(chunk, at, end);
    return end;
  }

  #append(chunk: Buffer, start: number, end: number): void {
    const needed = this.#filled + end - start;
    if (needed > this.#partial.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(MIN_PARTIAL_BYTES, needed, 2 * this.#filled));
      this.#partial.copy(grown, 0, 0, this.#filled);
      this.#partial = grown;
    }
    chunk.copy(this.#partial, this.#filled, start, end);
    this.#filled = needed;
  }
}

/** Length of the packet at `start`, header included; undefined while the header is not all there. */
function packetLength(
  buffer: Buffer,
  start: number,
  end: number,
  maxPacketBytes: number,
): number | undefined | FrameError {
  let remaining = 0;
  for (let at = start + 1, shift = 0; at < end; at++, shift += 7) {
    const byte = buffer[at]!;
    remaining += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) {
      const total = at + 1 - start + remaining;
      return total > maxPacketBytes ? "packet_too_large" : total;
    }
    if (at - start === MAX_HEADER_BYTES - 1) return "malformed";
  }
  return undefined;
}
