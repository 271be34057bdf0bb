/**
 * Start and stop of the parts of a process: started in order, closed in reverse, each exactly once.
 */
import type { Logger } from "./logger.js";

/** A part that was started. `close` is called once; it finishes what was accepted. */
export interface Closable {
  close(): Promise<void>;
}

export class Lifecycle {
  readonly #parts: { name: string; part: Closable }[] = [];
  readonly #logger: Logger;
  #closing: Promise<void> | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Registers a started part, to be closed before all registered earlier. */
  add<T extends Closable>(name: string, part: T): T {
    this.#parts.push({ name, part });
    return part;
  }

  /** Closes everything, last first. Idempotent. A part that fails does not keep the others open. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    const errors: unknown[] = [];
    for (const { name, part } of this.#parts.reverse()) {
      try {
        await part.close();
      } catch (error) {
        this.#logger.error({ err: error, part: name }, "failed to close");
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, "some parts failed to close");
  }
}
