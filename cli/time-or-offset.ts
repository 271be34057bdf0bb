/**
 * A point in the log as a user writes it: a time (ISO 8601, or epoch milliseconds) or an offset.
 */
import { SluiceError } from "../contracts/errors.js";

export type Point = { kind: "time"; ms: number } | { kind: "offset"; offset: number };

/** Whole numbers from here on are epoch milliseconds (2001 and later); below, offsets. */
const FIRST_EPOCH_MS = 1e12;
const ISO = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/;

/** @throws SluiceError CONFIG_INVALID naming the option */
export function parsePoint(text: string, option: string): Point {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    return number >= FIRST_EPOCH_MS ? { kind: "time", ms: number } : { kind: "offset", offset: number };
  }
  return { kind: "time", ms: parseTime(text, option) };
}

/** A time without a zone is UTC. @throws SluiceError CONFIG_INVALID naming the option */
export function parseTime(text: string, option: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  const zoned = /Z$|[+-]\d{2}:\d{2}$/.test(text) || !text.includes("T") ? text : `${text}Z`;
  const ms = ISO.test(text) ? Date.parse(zoned) : Number.NaN;
  if (Number.isNaN(ms)) {
    throw new SluiceError(
      "CONFIG_INVALID",
      `${option}: ${text} is no time such as 2026-01-31T12:00:00Z or epoch milliseconds`,
    );
  }
  return ms;
}
