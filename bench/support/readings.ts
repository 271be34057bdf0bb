/**
 * Synthetic readings for the processor benches, the same in every run: a daily wave, noise and a sensor's resolution
 * of 0.01, per device and metric.
 */
import type { ReadingRecord } from "../../contracts/reading.js";
import { type Rng, seededRng } from "../../testkit/rng.js";

/** A multiple of a day, so that every window begins with the readings. */
export const START_TS = 1_728_000_000_000;
const DAY_MS = 86_400_000;
/** Base, height of the daily wave and noise of each metric. */
const SHAPES: Record<string, readonly [base: number, wave: number, noise: number]> = {
  temperature: [20, 5, 0.4],
  humidity: [55, 12, 1.5],
};
export const METRICS = Object.keys(SHAPES);

export interface Fleet {
  devices: number;
  intervalMs: number;
}

export class Readings {
  readonly #fleet: Fleet;
  readonly #rng: Rng = seededRng(42);

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
  }

  /** One reading of every device, each with all metrics; round 0 is the first. */
  round(round: number): ReadingRecord[] {
    const { devices, intervalMs } = this.#fleet;
    return Array.from({ length: devices }, (_, device) => this.#reading(device, round, intervalMs));
  }

  #reading(device: number, round: number, intervalMs: number): ReadingRecord {
    // Devices are out of step with one another, as they are in a fleet.
    const ts = START_TS + round * intervalMs + Math.floor((device * intervalMs) / this.#fleet.devices);
    const values: Record<string, number> = {};
    for (const metric of METRICS) {
      const [base, wave, noise] = SHAPES[metric]!;
      const phase = Math.sin((2 * Math.PI * (ts % DAY_MS)) / DAY_MS + device);
      const jitter = this.#rng.next() + this.#rng.next() - 1;
      values[metric] = Math.round((base + wave * phase + noise * jitter) * 100) / 100;
    }
    return {
      ...{ v: 1, id: this.#id(), deviceId: `device-${device}`, ts, ingestTs: ts + 40 },
      ...{ seq: round, boot: "b1", values },
    };
  }

  /** 128 random bits as hex: what a hash looks like. */
  #id(): string {
    let id = "";
    for (let i = 0; i < 4; i++)
      id += this.#rng
        .int(2 ** 32)
        .toString(16)
        .padStart(8, "0");
    return id;
  }
}
