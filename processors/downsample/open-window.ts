/**
 * The readings of one device in one finest window that late data may still change, kept raw.
 *
 * Readings are stored in columns (a time, an identity, one value per metric), because a device's readings share
 * their times: 8 bytes a number. Raw values are what makes the sum independent of arrival order, and the
 * identities are what tells a re-send from a new reading (INV-3).
 */
import { type Aggregate, aggregateOf } from "./aggregate.js";

/** Plain data of an open window: what a checkpoint holds. */
export interface OpenWindowSnapshot {
  start: number;
  offsets: number[];
  ids: number[];
  columns: [metric: string, values: number[]][];
}

export class OpenWindow {
  readonly start: number;
  /** Event time of each reading, as milliseconds after `start`. */
  readonly #offsets: number[];
  /** The first 52 bits of each reading's identity. */
  readonly #ids: number[];
  /** One value per reading and metric; NaN where a reading has no such metric. */
  readonly #columns: Map<string, number[]>;
  #maxOffset: number;
  /** Positions in (time, identity) order; undefined after a change. */
  #order: Uint32Array | undefined;
  readonly #aggregates = new Map<string, Aggregate>();

  constructor(snapshot: OpenWindowSnapshot) {
    this.start = snapshot.start;
    this.#offsets = snapshot.offsets;
    this.#ids = snapshot.ids;
    this.#columns = new Map(snapshot.columns);
    this.#maxOffset = this.#offsets.reduce((max, offset) => Math.max(max, offset), -1);
  }

  static empty(start: number): OpenWindow {
    return new OpenWindow({ start, offsets: [], ids: [], columns: [] });
  }

  /** True when a reading of this identity and time is here already. */
  has(ts: number, id: number): boolean {
    const offset = ts - this.start;
    if (offset > this.#maxOffset) return false;
    for (let i = this.#offsets.length - 1; i >= 0; i--) {
      if (this.#offsets[i] === offset && this.#ids[i] === id) return true;
    }
    return false;
  }

  add(ts: number, id: number, values: Record<string, number>): void {
    const offset = ts - this.start;
    const position = this.#offsets.length;
    this.#offsets.push(offset);
    this.#ids.push(id);
    for (const metric in values) {
      let column = this.#columns.get(metric);
      if (!column) {
        column = new Array<number>(position).fill(Number.NaN);
        this.#columns.set(metric, column);
      }
      while (column.length < position) column.push(Number.NaN);
      column.push(values[metric]!);
      this.#aggregates.delete(metric);
    }
    this.#maxOffset = Math.max(this.#maxOffset, offset);
    this.#order = undefined;
  }

  metrics(): IterableIterator<string> {
    return this.#columns.keys();
  }

  holds(metric: string): boolean {
    return this.#columns.has(metric);
  }

  /** Lets go of what can be computed again: most windows are not asked for again before they are final. */
  forgetAggregates(): void {
    this.#aggregates.clear();
    this.#order = undefined;
  }

  /** The aggregate of one metric in event-time order; ties by identity. Undefined when it has no value here. */
  aggregate(metric: string): Aggregate | undefined {
    const column = this.#columns.get(metric);
    if (!column) return undefined;
    let aggregate = this.#aggregates.get(metric);
    if (!aggregate) {
      aggregate = aggregateOf(this.#inTimeOrder(column));
      this.#aggregates.set(metric, aggregate);
    }
    return aggregate;
  }

  snapshot(): OpenWindowSnapshot {
    return {
      start: this.start,
      offsets: this.#offsets,
      ids: this.#ids,
      columns: [...this.#columns],
    };
  }

  #inTimeOrder(column: number[]): Float64Array {
    this.#order ??= this.#sortedPositions();
    const values = new Float64Array(column.length);
    let used = 0;
    for (const position of this.#order) {
      const value = column[position];
      if (value !== undefined && !Number.isNaN(value)) values[used++] = value;
    }
    return values.subarray(0, used);
  }

  #sortedPositions(): Uint32Array {
    const offsets = this.#offsets;
    const ids = this.#ids;
    const order = Uint32Array.from(offsets.keys());
    const inOrder = (i: number, j: number) => offsets[i]! - offsets[j]! || ids[i]! - ids[j]!;
    for (let i = 1; i < order.length; i++) {
      if (inOrder(i - 1, i) > 0) return order.sort(inOrder);
    }
    return order;
  }
}

/** The part of a reading's id (hex) that windows remember: 52 bits, an exact double. */
export function shortId(id: string): number {
  return Number.parseInt(id.slice(0, 13), 16);
}
