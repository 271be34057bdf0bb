/**
 * The record of `telemetry.invalid`: what could not become a reading, why, and its raw bytes.
 */
import type { ReasonCode } from "./errors.js";

/** One record of `telemetry.invalid` (version 1). */
export interface DeadLetterRecord {
  v: 1;
  /** Unique per dead letter: also the handle for `sluice dlq show`. */
  id: string;
  reason: ReasonCode;
  /** What was wrong and where, for a person. */
  detail: string;
  /** How it came in: the MQTT topic. */
  topic: string;
  clientId?: string;
  /** Present when the topic named a legal device. */
  deviceId?: string;
  /** Position in a batch array, when the message was one. */
  index?: number;
  ingestTs: number;
  /** The raw bytes of the message, or of the one bad element of a batch, as base64. */
  payload: string;
  /** Length of the original payload; larger than the stored bytes when they were cut (`too_large`). */
  payloadBytes: number;
  /**
   * Present when the message was given to the gateway's rules again and became readings: when that was, epoch
   * milliseconds. It is a second record of the same `id`; the later one holds.
   */
  retriedAt?: number;
}
