/**
 * What goes wrong with the ports of a world: drawn from its seed, and counted by kind.
 */
import { SluiceError } from "../../contracts/errors.js";
import type { Clock } from "../../contracts/ports/clock.js";
import type { Faults } from "../../testkit/memory-log.js";
import type { Rng } from "../../testkit/rng.js";

/** How likely each kind of trouble is, for each operation of a port. */
export interface Trouble {
  /** An operation fails before, or after, it took effect. */
  failure: number;
  maxDelayMs: number;
  /** An append fails after only a part of it was stored. */
  torn: number;
  /** A gateway's append is stored twice. */
  repeated: number;
}

export const NO_TROUBLE: Trouble = { failure: 0, maxDelayMs: 0, torn: 0, repeated: 0 };

/** Counts what happened, by kind. */
export class Tally {
  readonly counts: Record<string, number> = {};

  add(kind: string): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
  }
}

/** Reads are many per restart: they fail more rarely, or no processor would ever get through one. */
const READ_SHARE = 0.2;

/**
 * Faults for the ports of one simulated process.
 * @param trouble asked anew for each operation, so that a world can be calmed down
 * @param repeats appends may be stored twice (only where readers drop repeats by identity)
 */
export function faultsOf(
  { rng, clock, faults: tally }: { rng: Rng; clock: Clock; faults: Tally },
  trouble: () => Trouble,
  repeats: boolean,
): Faults {
  const hits = (kind: string, probability: number): boolean => {
    if (probability === 0 || rng.next() >= probability) return false;
    tally.add(kind);
    return true;
  };
  const turn = async (when: "before" | "after", operation: string) => {
    const { failure, maxDelayMs } = trouble();
    if (maxDelayMs > 0) await clock.sleep(rng.int(maxDelayMs));
    const share = operation === "read" || operation === "checkpoint.restore" ? READ_SHARE : 1;
    if (!hits(`failure ${when} effect`, failure * share)) return;
    const code = operation.startsWith("checkpoint") ? "STORE_UNAVAILABLE" : "LOG_UNAVAILABLE";
    throw new SluiceError(code, `${operation}: planted failure ${when} the effect`);
  };
  return {
    before: (operation) => turn("before", operation),
    after: (operation) => turn("after", operation),
    torn: (records) =>
      records > 1 && hits("torn append", trouble().torn) ? 1 + rng.int(records - 1) : undefined,
    repeated: () => repeats && hits("repeated append", trouble().repeated),
  };
}
