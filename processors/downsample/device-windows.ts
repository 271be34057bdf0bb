/**
 * Downsampling of one device: its watermark, its open windows and the unfinished coarser windows of its series.
 *
 * Pure: time arrives in readings only. Guarantees:
 * - A reading counts once (INV-3): a repeat within `allowedLatenessMs` is told by identity.
 * - Any arrival order within the allowed lateness gives the same rollups, bit for bit (INV-4): the finest windows
 *   keep raw readings until they can no longer change, and coarser ones join finer ones in time order.
 * - A window closes when the watermark (the device's latest event time) has passed its end, and is final when it has
 *   passed it by `allowedLatenessMs`; a reading for a final window is late (INV-6). Source of the close rule:
 *   Kafka Streams, `closeTime = streamTime - grace`.
 */
import type { Rollup } from "../../contracts/rollup.js";
import { type Resolution, windowStart } from "../../contracts/window.js";
import { type Aggregate, joinAggregates, rollupOf } from "./aggregate.js";
import { OpenWindow, type OpenWindowSnapshot } from "./open-window.js";

export interface DownsampleOptions {
  /** Finest first; each size divides the next. */
  resolutions: readonly Resolution[];
  allowedLatenessMs: number;
}

/** What became of a reading. */
export type Admission = "counted" | "duplicate" | "late";

/** A rollup to upsert; `closed` once the watermark has passed its window's end. */
export interface RollupChange {
  rollup: Rollup;
  closed: boolean;
}

/** One coarse window that already holds every finer window that became final. */
interface Partial {
  start: number;
  aggregate: Aggregate;
}

/**
 * What need not be joined again at every flush: a coarse window up to, but without, the finer window at `until`.
 * Readings come mostly in order, so mostly only the last finer window changes.
 */
interface Prefix extends Partial {
  until: number;
}

/** Everything kept per metric. Index 0 is the finest resolution. */
interface Series {
  /** Final finer windows joined so far, per resolution; index 0 is unused. */
  partials: (Partial | null)[];
  /** The latest window of each resolution; index 0 is unused. Not saved: it is made again. */
  prefixes: (Prefix | null)[];
  /** Window starts changed since the last flush, per resolution. */
  dirty: Set<number>[];
  /** Window starts whose closed rollup was not handed out yet, per resolution. */
  unclosed: Set<number>[];
}

export interface DeviceWindowsSnapshot {
  watermark: number;
  windows: OpenWindowSnapshot[];
  /** Identities of readings without a time of their own, with the window that holds each. */
  untimed: [id: number, start: number][];
  series: [metric: string, partials: (Partial | null)[], unclosed: number[][]][];
}

/**
 * Identities of readings without a time of their own that are remembered however old they are. A device can only send
 * again what it has no ack for, and a gateway lets 64 messages of one client be in that state: four times as many.
 */
const UNTIMED_REMEMBERED = 256;

export class DeviceWindows {
  readonly #device: string;
  readonly #options: DownsampleOptions;
  readonly #finestMs: number;
  #watermark = Number.NEGATIVE_INFINITY;
  /** Rising by start. */
  #windows: OpenWindow[] = [];
  readonly #untimed = new Map<number, number>();
  readonly #series = new Map<string, Series>();
  #changes: RollupChange[] = [];

  constructor(device: string, options: DownsampleOptions, snapshot?: DeviceWindowsSnapshot) {
    this.#device = device;
    this.#options = options;
    this.#finestMs = options.resolutions[0]!.sizeMs;
    if (snapshot) this.#restore(snapshot);
  }

  /** Latest event time seen, epoch milliseconds; -Infinity before the first reading. */
  get watermark(): number {
    return this.#watermark;
  }

  /**
   * @param id short identity of the reading
   * @param untimed true when the device gave no time: a re-send then carries another receive time, so identity
   *   alone must tell it
   */
  add(ts: number, id: number, values: Record<string, number>, untimed: boolean): Admission {
    const start = windowStart(ts, this.#finestMs);
    if (start + this.#finestMs + this.#options.allowedLatenessMs <= this.#watermark) return "late";
    if (untimed && this.#untimed.has(id)) return "duplicate";
    const window = this.#windowAt(start);
    if (window.has(ts, id)) return "duplicate";
    window.add(ts, id, values);
    if (untimed) this.#untimed.set(id, start);
    for (const metric in values) this.#touch(metric, ts);
    if (ts > this.#watermark) {
      this.#watermark = ts;
      this.#finalise();
    }
    return "counted";
  }

  /** Hands out every rollup that changed since the last flush, finest first within a series. */
  flush(): RollupChange[] {
    for (const [metric, series] of this.#series) {
      if (series.dirty.some((starts) => starts.size > 0) || this.#closes(series)) this.#emit(metric, series);
    }
    for (const window of this.#windows) window.forgetAggregates();
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }

  /** Plain data that continues bit for bit. Call after `flush`. */
  snapshot(): DeviceWindowsSnapshot {
    return {
      watermark: this.#watermark,
      windows: this.#windows.map((window) => window.snapshot()),
      untimed: [...this.#untimed],
      series: [...this.#series].map(([metric, { partials, unclosed }]) => [
        metric,
        partials,
        unclosed.map((starts) => [...starts]),
      ]),
    };
  }

  #restore(snapshot: DeviceWindowsSnapshot): void {
    this.#watermark = snapshot.watermark;
    this.#windows = snapshot.windows.map((window) => new OpenWindow(window));
    for (const [id, start] of snapshot.untimed) this.#untimed.set(id, start);
    for (const [metric, partials, unclosed] of snapshot.series) {
      this.#series.set(metric, {
        partials,
        prefixes: partials.map(() => null),
        dirty: partials.map(() => new Set()),
        unclosed: unclosed.map((starts) => new Set(starts)),
      });
    }
  }

  #windowAt(start: number): OpenWindow {
    let at = this.#windows.length;
    while (at > 0 && this.#windows[at - 1]!.start > start) at--;
    const found = this.#windows[at - 1];
    if (found?.start === start) return found;
    const window = OpenWindow.empty(start);
    this.#windows.splice(at, 0, window);
    return window;
  }

  #touch(metric: string, ts: number): void {
    let series = this.#series.get(metric);
    if (!series) {
      const { resolutions } = this.#options;
      series = {
        partials: resolutions.map(() => null),
        prefixes: resolutions.map(() => null),
        dirty: resolutions.map(() => new Set()),
        unclosed: resolutions.map(() => new Set()),
      };
      this.#series.set(metric, series);
    }
    const finest = windowStart(ts, this.#finestMs);
    if (series.dirty[0]!.has(finest)) return;
    let start = finest;
    for (let level = 0; level < this.#options.resolutions.length; level++) {
      const finer = start;
      start = windowStart(ts, this.#options.resolutions[level]!.sizeMs);
      series.dirty[level]!.add(start);
      series.unclosed[level]!.add(start);
      const prefix = series.prefixes[level];
      if (prefix?.start === start && finer < prefix.until) series.prefixes[level] = null;
    }
  }

  /** Joins windows that can no longer change into the coarser ones, in time order, and lets their readings go. */
  #finalise(): void {
    const finalBefore = this.#watermark - this.#options.allowedLatenessMs;
    let count = 0;
    for (const window of this.#windows) {
      if (window.start + this.#finestMs > finalBefore) break;
      for (const metric of window.metrics()) {
        this.#settle(metric, this.#series.get(metric)!, 0, window.start, window.aggregate(metric)!);
      }
      count++;
    }
    if (count > 0) this.#windows = this.#windows.slice(count);
    this.#forgetUntimed(finalBefore);
  }

  /** Keeps what can be sent again: everything that is not final, and the latest in any case. */
  #forgetUntimed(finalBefore: number): void {
    for (const [id, start] of this.#untimed) {
      if (this.#untimed.size <= UNTIMED_REMEMBERED || start + this.#finestMs > finalBefore) return;
      this.#untimed.delete(id);
    }
  }

  /** A window of `level` is final: hand it out if it changed, and join it into the next coarser one. */
  #settle(metric: string, series: Series, level: number, start: number, aggregate: Aggregate): void {
    if (series.dirty[level]!.delete(start) || series.unclosed[level]!.has(start)) {
      this.#change(metric, series, level, start, aggregate);
    }
    const above = level + 1;
    const coarser = this.#options.resolutions[above];
    if (!coarser) return;
    const aboveStart = windowStart(start, coarser.sizeMs);
    const prefix = series.prefixes[above];
    if (prefix && start >= prefix.until) series.prefixes[above] = null;
    const partial = series.partials[above];
    if (partial && partial.start !== aboveStart) {
      this.#settle(metric, series, above, partial.start, partial.aggregate);
      series.partials[above] = { start: aboveStart, aggregate };
    } else {
      const joined = partial ? joinAggregates(partial.aggregate, aggregate) : aggregate;
      series.partials[above] = { start: aboveStart, aggregate: joined };
    }
  }

  #change(metric: string, series: Series, level: number, start: number, aggregate: Aggregate): void {
    const { name, sizeMs } = this.#options.resolutions[level]!;
    const closed = start + sizeMs <= this.#watermark;
    if (closed) series.unclosed[level]!.delete(start);
    const rollup = rollupOf(aggregate, { device: this.#device, metric, resolution: name, start });
    this.#changes.push({ rollup, closed });
  }

  /** True when some window of the series closed since it was handed out. */
  #closes(series: Series): boolean {
    return series.unclosed.some((starts, level) => {
      const { sizeMs } = this.#options.resolutions[level]!;
      for (const start of starts) if (start + sizeMs <= this.#watermark) return true;
      return false;
    });
  }

  /** Hands out the windows of all levels that changed or closed, each joined from the finer ones. */
  #emit(metric: string, series: Series): void {
    const starts = this.#startsByLevel(metric, series);
    const known = new Map<string, Aggregate>();
    for (let level = 0; level < this.#options.resolutions.length; level++) {
      const { sizeMs } = this.#options.resolutions[level]!;
      for (const start of starts[level]!) {
        const closing = series.unclosed[level]!.has(start) && start + sizeMs <= this.#watermark;
        if (!series.dirty[level]!.has(start) && !closing) continue;
        this.#change(
          metric,
          series,
          level,
          start,
          this.#aggregateAt(metric, series, level, start, starts, known),
        );
      }
      series.dirty[level]!.clear();
    }
  }

  /** Starts of the windows that are not final, rising, per resolution. */
  #startsByLevel(metric: string, series: Series): number[][] {
    const finest = this.#windows.filter((window) => window.holds(metric)).map((window) => window.start);
    const levels = [finest];
    for (let level = 1; level < this.#options.resolutions.length; level++) {
      const { sizeMs } = this.#options.resolutions[level]!;
      const partial = series.partials[level];
      const starts = partial ? [partial.start] : [];
      for (const finer of levels[level - 1]!) {
        const start = windowStart(finer, sizeMs);
        if (starts.at(-1) !== start) starts.push(start);
      }
      levels.push(starts);
    }
    return levels;
  }

  /** The window of `level` at `start`: final finer windows, then the others, in time order. */
  #aggregateAt(
    metric: string,
    series: Series,
    level: number,
    start: number,
    starts: readonly number[][],
    known: Map<string, Aggregate>,
  ): Aggregate {
    if (level === 0) return this.#windowAt(start).aggregate(metric)!;
    const key = `${level} ${start}`;
    let aggregate = known.get(key);
    if (aggregate) return aggregate;
    const { sizeMs } = this.#options.resolutions[level]!;
    const finer = starts[level - 1]!.filter((finerStart) => windowStart(finerStart, sizeMs) === start);
    const prefix = series.prefixes[level]?.start === start ? series.prefixes[level] : null;
    const partial = series.partials[level]?.start === start ? series.partials[level] : null;
    aggregate = (prefix ?? partial)?.aggregate;
    for (const finerStart of finer) {
      if (prefix && finerStart < prefix.until) continue;
      const isLast = finerStart === finer.at(-1);
      const isNewest = start === starts[level]!.at(-1);
      if (isLast && isNewest && aggregate) series.prefixes[level] = { start, until: finerStart, aggregate };
      const next = this.#aggregateAt(metric, series, level - 1, finerStart, starts, known);
      aggregate = aggregate ? joinAggregates(aggregate, next) : next;
    }
    known.set(key, aggregate!);
    return aggregate!;
  }
}
