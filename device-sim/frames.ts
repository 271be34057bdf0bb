/**
 * The few MQTT 3.1.1 packets a publishing device needs, as bytes. Clause numbers are those of the OASIS standard.
 */

export const PACKET = { connack: 2, puback: 4, pubrec: 5, pubrel: 6, pubcomp: 7, pingresp: 13 } as const;

export const PINGREQ = Buffer.from([0xc0, 0]);
export const DISCONNECT = Buffer.from([0xe0, 0]);

export interface Connect {
  clientId: string;
  keepaliveS: number;
  username?: string;
  password?: string;
}

/** CONNECT with a clean session (3.1). */
export function connectFrame({ clientId, keepaliveS, username, password }: Connect): Buffer {
  const flags = 0x02 | (username === undefined ? 0 : 0x80) | (password === undefined ? 0 : 0x40);
  const head = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, flags, keepaliveS >> 8, keepaliveS & 0xff]);
  const fields = [clientId, username, password].filter((field) => field !== undefined);
  return frame(0x10, [head, ...fields.map(text)]);
}

/** PUBLISH without DUP and RETAIN (3.3); `id` is left out with QoS 0. */
export function publishFrame(topic: string, payload: Buffer, qos: 0 | 1 | 2, id: number): Buffer {
  const parts = [text(topic), ...(qos > 0 ? [Buffer.from([id >> 8, id & 0xff])] : []), payload];
  return frame(0x30 | (qos << 1), parts);
}

/** PUBREL (3.6). */
export function pubrelFrame(id: number): Buffer {
  return Buffer.from([0x62, 2, id >> 8, id & 0xff]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

function frame(first: number, parts: readonly Buffer[]): Buffer {
  const head = [first];
  let rest = parts.reduce((sum, part) => sum + part.length, 0);
  // Remaining length: seven bits a byte, lowest first (2.2.3).
  do {
    const more = rest > 127;
    head.push((rest & 0x7f) | (more ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.from(head), ...parts]);
}

export interface Packet {
  /** The upper half of the first byte. */
  type: number;
  body: Buffer;
}

/** Far more than any packet that answers a publisher. */
const MAX_BODY_BYTES = 65_536;

/** Cuts the bytes of a connection into packets, however they arrive. */
export class Packets {
  #rest: Buffer | undefined;

  /** @throws Error when a packet is longer than any that a publisher may get */
  *push(chunk: Buffer): Generator<Packet> {
    let bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    this.#rest = undefined;
    for (;;) {
      const length = bodyLength(bytes);
      if (length && length.body > MAX_BODY_BYTES) throw new Error(`a packet of ${length.body} bytes`);
      if (!length || bytes.length < length.head + length.body) break;
      const end = length.head + length.body;
      yield { type: bytes[0]! >> 4, body: bytes.subarray(length.head, end) };
      bytes = bytes.subarray(end);
    }
    // A copy: a slice would keep the whole chunk alive while a device idles.
    if (bytes.length > 0) this.#rest = Buffer.from(bytes);
  }
}

/** Bytes before and in the body; undefined until the length is complete. */
function bodyLength(bytes: Buffer): { head: number; body: number } | undefined {
  let body = 0;
  for (let i = 1; i < 5; i++) {
    if (i >= bytes.length) return undefined;
    body |= (bytes[i]! & 0x7f) << (7 * (i - 1));
    if ((bytes[i]! & 0x80) === 0) return { head: i + 1, body };
  }
  throw new Error("a malformed packet length");
}
