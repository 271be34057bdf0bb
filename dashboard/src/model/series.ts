/**
 * One series at one resolution, as the chart draws it: rollups in time order, corrected in place as they change.
 */
import type { ApiRollupRow } from "../../../api/schemas.js";

/** Columns in the order of the chart: time in seconds, then min, max, mean, p95. Null breaks a line. */
export type Columns = [number[], ...(number | null)[][]];

export class Series {
  readonly #sizeMs: number;
  #rows: ApiRollupRow[] = [];

  constructor(sizeMs: number) {
    this.#sizeMs = sizeMs;
  }

  get length(): number {
    return this.#rows.length;
  }

  /** Upserts by window start; an older revision never replaces a newer one. @returns whether anything changed */
  upsert(rows: readonly ApiRollupRow[]): boolean {
    let changed = false;
    for (const row of rows) changed = this.#upsertOne(row) || changed;
    return changed;
  }

  /** Forgets windows that ended before `from`. */
  trim(from: number): void {
    const keep = this.#rows.findIndex((row) => row.start + this.#sizeMs > from);
    if (keep > 0) this.#rows.splice(0, keep);
  }

  last(): ApiRollupRow | undefined {
    return this.#rows[this.#rows.length - 1];
  }

  at(start: number): ApiRollupRow | undefined {
    const row = this.#rows[this.#find(start)];
    return row?.start === start ? row : undefined;
  }

  columns(): Columns {
    const columns: Columns = [[], [], [], [], []];
    const gapMs = this.#gapMs();
    let before: ApiRollupRow | undefined;
    for (const row of this.#rows) {
      if (before && row.start - before.start > gapMs) push(columns, before.start + this.#sizeMs, undefined);
      push(columns, row.start, row);
      before = row;
    }
    return columns;
  }

  /** Windows farther apart than three times the usual distance have nothing drawn between them. */
  #gapMs(): number {
    const distances: number[] = [];
    for (let i = 1; i < this.#rows.length; i++) {
      distances.push(this.#rows[i]!.start - this.#rows[i - 1]!.start);
    }
    distances.sort((a, b) => a - b);
    return 3 * Math.max(this.#sizeMs, distances[distances.length >> 1] ?? 0);
  }

  #upsertOne(row: ApiRollupRow): boolean {
    const at = this.#find(row.start);
    const known = this.#rows[at];
    if (known?.start !== row.start) {
      this.#rows.splice(at, 0, row);
      return true;
    }
    if (row.revision <= known.revision) return false;
    this.#rows[at] = row;
    return true;
  }

  /** Index of the first row that starts at or after `start`. New rows mostly come at the end. */
  #find(start: number): number {
    let high = this.#rows.length;
    let low = high > 0 && this.#rows[high - 1]!.start < start ? high : 0;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#rows[middle]!.start < start) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function push(columns: Columns, start: number, row: ApiRollupRow | undefined): void {
  columns[0].push(start / 1_000);
  columns[1]!.push(row?.min ?? null);
  columns[2]!.push(row?.max ?? null);
  columns[3]!.push(row?.mean ?? null);
  columns[4]!.push(row?.p95 ?? null);
}
