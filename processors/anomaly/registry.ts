/** Every detector kind by name. Owns nothing else: adding a kind is one file and one line here. */
import type { Detector, DetectorKind, DetectorSnapshot } from "./detector.js";
import { drift } from "./drift.js";
import { flatLine } from "./flat-line.js";
import { novelty } from "./novelty.js";
import { quantile } from "./quantile.js";
import { range } from "./range.js";
import { rateOfChange } from "./rate-of-change.js";
import { spike } from "./spike.js";

/** The kind used where a rule or a command names none. */
export const DEFAULT_DETECTOR = "novelty";

/** A kind behind its schema: takes raw params, fills in defaults, throws ZodError where they do not fit. */
function registered<P>(kind: DetectorKind<P>): DetectorKind<unknown> {
  return {
    name: kind.name,
    params: kind.params,
    create: (raw: unknown): Detector => kind.create(kind.params.parse(raw)),
    load: (raw: unknown, snapshot: DetectorSnapshot): Detector => kind.load(kind.params.parse(raw), snapshot),
  };
}

const KINDS: readonly DetectorKind<unknown>[] = [
  registered(novelty),
  registered(range),
  registered(rateOfChange),
  registered(spike),
  registered(flatLine),
  registered(drift),
  registered(quantile),
];

export const detectors: Readonly<Record<string, DetectorKind<unknown>>> = Object.fromEntries(
  KINDS.map((kind) => [kind.name, kind]),
);
