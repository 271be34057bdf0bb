/**
 * Bytes to JSON to items. An item is one candidate for a reading: a whole message, or one element of a batch.
 *
 * Pure. Nothing here looks into an item: `schema.ts` does.
 */
import { isUtf8 } from "node:buffer";
import type { ReasonCode } from "../../contracts/errors.js";
import type { PayloadLimits } from "../limits.js";

/** Why a message or an item cannot be a reading. */
export interface Rejection {
  reason: ReasonCode;
  /** What was wrong and where, for a person. */
  detail: string;
}

export type Decoded =
  | { kind: "single"; item: unknown }
  | { kind: "batch"; items: readonly unknown[] }
  | ({ kind: "rejected" } & Rejection);

type DecodeLimits = Pick<PayloadLimits, "maxPayloadBytes" | "maxDepth" | "maxBatch">;

/** Checks in order: empty, too_large, not_utf8, not_json (too_deep when that is why), empty batch, batch_too_long. */
export function decode(payload: Buffer, limits: DecodeLimits): Decoded {
  if (payload.length === 0) return rejected("empty", "the payload has no bytes");
  if (payload.length > limits.maxPayloadBytes) {
    return rejected("too_large", `${payload.length} bytes; at most ${limits.maxPayloadBytes} are accepted`);
  }
  if (!isUtf8(payload)) return rejected("not_utf8", "the payload is not valid UTF-8");
  let item: unknown;
  try {
    item = JSON.parse(payload.toString("utf8"));
  } catch (error) {
    if (isDeeper(payload, limits.maxDepth)) return rejected("too_deep", tooDeep(limits));
    return rejected("not_json", clip((error as Error).message));
  }
  if (!Array.isArray(item)) return { kind: "single", item };
  if (item.length === 0) return rejected("empty", "the batch has no elements");
  if (item.length > limits.maxBatch) {
    return rejected("batch_too_long", `${item.length} elements; at most ${limits.maxBatch} are accepted`);
  }
  return { kind: "batch", items: item };
}

/** The sentence that goes with `too_deep`. */
export function tooDeep(limits: Pick<PayloadLimits, "maxDepth">): string {
  return `arrays and objects are nested more than ${limits.maxDepth} deep`;
}

/**
 * True when brackets outside strings nest deeper than `maxDepth`. A scan over bytes, so no nesting can exhaust
 * the stack. Only run on what was already found bad: no valid reading is deeper than 3.
 */
export function isDeeper(json: Uint8Array, maxDepth: number): boolean {
  let depth = 0;
  for (const { open, comma } of brackets(json)) {
    if (!comma) depth += open ? 1 : -1;
    if (depth > maxDepth) return true;
  }
  return false;
}

/**
 * The byte ranges [start, end) of the elements of a JSON array, without the white space around them.
 * @param json valid JSON whose top level is an array
 */
export function elementRanges(json: Uint8Array): [start: number, end: number][] {
  const ranges: [number, number][] = [];
  let depth = 0;
  let start = 0;
  for (const { at, open, comma } of brackets(json)) {
    if (!comma) depth += open ? 1 : -1;
    if (open && depth === 1) start = at + 1;
    else if ((comma && depth === 1) || (!comma && !open && depth === 0)) {
      ranges.push(trimmed(json, start, at));
      start = at + 1;
    }
  }
  return ranges;
}

interface Mark {
  at: number;
  open: boolean;
  comma: boolean;
}

/** Every bracket and comma outside strings. */
function* brackets(json: Uint8Array): Generator<Mark> {
  let inString = false;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (inString) {
      if (byte === 0x5c) at++;
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) inString = true;
    else if (byte === 0x5b || byte === 0x7b) yield { at, open: true, comma: false };
    else if (byte === 0x5d || byte === 0x7d) yield { at, open: false, comma: false };
    else if (byte === 0x2c) yield { at, open: false, comma: true };
  }
}

function trimmed(json: Uint8Array, start: number, end: number): [number, number] {
  let from = start;
  let to = end;
  while (from < to && isSpace(json[from])) from++;
  while (to > from && isSpace(json[to - 1])) to--;
  return [from, to];
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function rejected(reason: ReasonCode, detail: string): Decoded {
  return { kind: "rejected", reason, detail };
}

function clip(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}
