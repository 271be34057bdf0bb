/**
 * How far a long job is, how fast, and how long it will still take.
 */
export class Eta {
  readonly #beganMs = performance.now();

  text(done: number, total: number): string {
    const seconds = Math.max(0.001, (performance.now() - this.#beganMs) / 1_000);
    const rate = done / seconds;
    const left = rate > 0 ? Math.ceil((total - done) / rate) : 0;
    const percent = total > 0 ? Math.floor((100 * done) / total) : 100;
    return `${percent} %  ${done} of ${total}  ${Math.round(rate)}/s  ${left} s left`;
  }
}
