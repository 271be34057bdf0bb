/**
 * The notifier's state as entries of a checkpoint: one per row, so that a commit writes what changed.
 */
import { SluiceError } from "../contracts/errors.js";
import type { Offset } from "../contracts/ports/log.js";
import { type Member, NotifierState } from "./core/state.js";

/** Next offset by partition of the alerts topic. `#` is in no table's name. */
const POSITIONS_KEY = "#positions";

export type Positions = Map<number, Offset>;

/** @throws SluiceError STATE_CORRUPT */
export function load(entries: Iterable<[string, Uint8Array]>): {
  state: NotifierState;
  positions: Positions;
} {
  const state = new NotifierState();
  const tables = new Map(state.tables());
  const positions: Positions = new Map();
  const rows: [name: string, key: string, row: unknown][] = [];
  for (const [key, bytes] of entries) {
    const value = decode(key, bytes);
    const slash = key.indexOf("/");
    if (key === POSITIONS_KEY)
      for (const [p, offset] of value as [number, Offset][]) positions.set(p, offset);
    else rows.push([key.slice(0, slash), key.slice(slash + 1), value]);
  }
  // In the order they came: the oldest are let go first when there are too many.
  rows.sort(([, , a], [, , b]) => seenAt(a) - seenAt(b));
  for (const [name, key, row] of rows) {
    const table = tables.get(name);
    if (!table) throw new SluiceError("STATE_CORRUPT", `notifier state: unknown entry ${name}/${key}`);
    table.load(key, row);
    if (name === "member") state.indexMember(row as Member);
  }
  return { state, positions };
}

/** What changed since the last `settle`. */
export function changes(state: NotifierState, positions: Positions): Map<string, Uint8Array | null> {
  const changed = new Map<string, Uint8Array | null>([[POSITIONS_KEY, encode([...positions])]]);
  for (const [name, table] of state.tables()) {
    for (const key of table.changed) {
      const row = table.get(key);
      changed.set(`${name}/${key}`, row === undefined ? null : encode(row));
    }
  }
  return changed;
}

function seenAt(row: unknown): number {
  return (row as { seenAt?: number }).seenAt ?? 0;
}

function encode(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

function decode(key: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (error) {
    throw new SluiceError("STATE_CORRUPT", `notifier state, entry ${key}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
