/**
 * Runs asynchronous work one after the other, in the order of the calls.
 */
export class Mutex {
  #tail: Promise<unknown> = Promise.resolve();

  /** Runs `work` after everything queued before it; a failure there does not stop it. */
  run<T>(work: () => Promise<T> | T): Promise<T> {
    const result = this.#tail.then(work, work);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}
