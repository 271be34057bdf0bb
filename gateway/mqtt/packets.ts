/**
 * What the gate must know of a packet before the broker sees it: its type, and that it is well formed. Pure.
 *
 * Clause numbers are those of MQTT 3.1.1.
 */
import { isUtf8 } from "node:buffer";
import type { CloseReason } from "../stats.js";

export const CONNECT = 1;
export const PUBLISH = 3;
const PUBACK = 4;
const PUBREC = 5;
const PUBREL = 6;
const PUBCOMP = 7;
const SUBSCRIBE = 8;
const UNSUBSCRIBE = 10;
export const PINGREQ = 12;
export const DISCONNECT = 14;

export const PINGRESP_BYTES = Buffer.from([0xd0, 0x00]);

/** More levels than this and the broker's topic matcher would throw. */
const MAX_TOPIC_LEVELS = 100;

/** Control packet type of the packet that starts with `firstByte`. */
export function packetType(firstByte: number): number {
  return firstByte >> 4;
}

/** @returns why the connection must be closed, or undefined when the packet may go on */
export function checkPacket(buffer: Buffer, start: number, end: number): CloseReason | undefined {
  const flags = buffer[start]! & 0x0f;
  const body = bodyStart(buffer, start);
  switch (packetType(buffer[start]!)) {
    case PUBLISH:
      return checkPublish(buffer, body, end, flags);
    case PUBACK:
    case PUBREC:
    case PUBCOMP:
      return flags === 0 && end - body === 2 ? checkId(buffer, body) : "malformed";
    case PUBREL:
      return flags === 2 && end - body === 2 ? checkId(buffer, body) : "malformed";
    case SUBSCRIBE:
      return flags === 2 ? checkFilters(buffer, body, end, 1) : "malformed";
    case UNSUBSCRIBE:
      return flags === 2 ? checkFilters(buffer, body, end, 0) : "malformed";
    case PINGREQ:
    case DISCONNECT:
      return flags === 0 && end === body ? undefined : "malformed";
    case CONNECT:
      return "second_connect"; // [MQTT-3.1.0-2]
    default:
      return "malformed";
  }
}

/** Text of a topic as the protocol allows it: UTF-8 without U+0000 [MQTT-1.5.3-1, -2], at least one character. */
export function isTopicText(text: string): boolean {
  return text.length > 0 && !text.includes("\0") && !text.includes("\ufffd");
}

/** A topic that can be published to: no wildcard [MQTT-3.3.2-2], and not too deep for the broker. */
export function isTopicName(text: string): boolean {
  return isTopicText(text) && !/[+#]/.test(text) && text.split("/").length <= MAX_TOPIC_LEVELS;
}

function checkPublish(buffer: Buffer, body: number, end: number, flags: number): CloseReason | undefined {
  const qos = (flags >> 1) & 3;
  if (qos === 3 || end - body < 2) return "malformed"; // [MQTT-3.3.1-4]
  const topic = body + 2;
  const afterTopic = topic + buffer.readUInt16BE(body);
  if (afterTopic + (qos > 0 ? 2 : 0) > end) return "malformed";
  if (!isLegalTopic(buffer, topic, afterTopic)) return "bad_topic_name";
  return qos > 0 ? checkId(buffer, afterTopic) : undefined; // [MQTT-2.3.1-1]
}

function isLegalTopic(buffer: Buffer, start: number, end: number): boolean {
  let levels = 1;
  let ascii = true;
  for (let at = start; at < end; at++) {
    const byte = buffer[at]!;
    if (byte === 0x00 || byte === 0x23 || byte === 0x2b) return false;
    if (byte === 0x2f) levels++;
    else if (byte >= 0x80) ascii = false;
  }
  return end > start && levels <= MAX_TOPIC_LEVELS && (ascii || isUtf8(buffer.subarray(start, end)));
}

/** A packet id, and then one or more filters, each followed by `tailBytes`. */
function checkFilters(buffer: Buffer, body: number, end: number, tailBytes: number): CloseReason | undefined {
  if (end - body < 5) return "malformed"; // [MQTT-3.8.3-3], [MQTT-3.10.3-2]
  let at = body + 2;
  while (at < end) {
    if (at + 2 > end) return "malformed";
    const filter = at + 2;
    at = filter + buffer.readUInt16BE(at);
    if (at + tailBytes > end) return "malformed";
    const text = buffer.subarray(filter, at);
    if (text.length === 0 || text.includes(0) || !isUtf8(text)) return "bad_topic_name";
    at += tailBytes;
  }
  return checkId(buffer, body);
}

function checkId(buffer: Buffer, at: number): CloseReason | undefined {
  return buffer.readUInt16BE(at) === 0 ? "bad_packet_id" : undefined;
}

/** Where the variable header starts. The fixed header is known to be complete. */
function bodyStart(buffer: Buffer, start: number): number {
  let at = start + 1;
  while (buffer[at]! >= 0x80) at++;
  return at + 1;
}
