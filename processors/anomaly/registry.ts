/** Every detector kind by name. Owns nothing else: adding a kind is one file and one line here. */
import type { Detector, DetectorKind, DetectorSnapshot } from "./detector.js";
import { novelty } from "./novelty.js";

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

export const detectors: Readonly<Record<string, DetectorKind<unknown>>> = Object.fromEntries(
  [registered(novelty)].map((kind) => [kind.name, kind]),
);
