/**
 * Exponentially weighted mean and variance in plain numbers: a true mean and variance over the first
 * `memoryReadings`, exponentially forgetting after that. O(1), three numbers of state.
 *
 * Source: Finch, "Incremental calculation of weighted mean and variance" (2009), section 9.
 */
export class Moments {
  mean = 0;
  variance = 0;
  count = 0;

  constructor(private readonly memoryReadings: number) {}

  get deviation(): number {
    return Math.sqrt(this.variance);
  }

  learn(x: number): void {
    this.count = Math.min(this.count + 1, this.memoryReadings);
    const gain = 1 / this.count;
    const error = x - this.mean;
    this.mean += gain * error;
    this.variance = (1 - gain) * (this.variance + gain * error * error);
  }

  restart(): void {
    this.mean = this.variance = this.count = 0;
  }

  restore(mean: number, variance: number, count: number): void {
    this.mean = mean;
    this.variance = variance;
    this.count = count;
  }
}

/** Readings beyond this are taken as this: their squares and sums stay finite. */
const HUGE = 1e150;

/** `value` bounded so that arithmetic on it cannot overflow. */
export function bounded(value: number): number {
  return Math.max(-HUGE, Math.min(HUGE, value));
}
