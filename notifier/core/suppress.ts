/**
 * Why an alert is not told of: silences, maintenance windows and inhibition, asked at the moment of telling.
 */
import type { Alert } from "../../contracts/alert.js";
import type { NotifierConfig } from "../config.js";
import type { Context } from "./context.js";
import type { Inhibition } from "./inhibit.js";
import { isWithin } from "./maintenance.js";
import { compileMatchers, type Matcher } from "./matchers.js";
import type { Member, NotifierState, Silence, Suppression } from "./state.js";

export class Suppressor {
  readonly #state: NotifierState;
  readonly #inhibition: Inhibition;
  readonly #maintenance: { matches: Matcher; isOpen: (now: number) => boolean }[];
  /** Compiled matchers of silences. A replaced silence is another object. */
  readonly #matchers = new WeakMap<Silence, Matcher>();

  constructor(config: NotifierConfig, state: NotifierState, inhibition: Inhibition) {
    this.#state = state;
    this.#inhibition = inhibition;
    this.#maintenance = config.maintenance.map(({ matchers, windows }) => ({
      matches: compileMatchers(matchers),
      isOpen: (now) => windows.some((window) => isWithin(window, now)),
    }));
  }

  why(alert: Alert, now: number): Exclude<Suppression, "acknowledged"> | null {
    if (this.#isSilenced(alert, now)) return "silenced";
    if (this.#maintenance.some(({ matches, isOpen }) => isOpen(now) && matches(alert))) return "maintenance";
    return this.#inhibition.inhibits(alert) ? "inhibited" : null;
  }

  #isSilenced(alert: Alert, now: number): boolean {
    for (const silence of this.#state.silences.values()) {
      if (now >= silence.start && now < silence.end && this.#matcher(silence)(alert)) return true;
    }
    return false;
  }

  #matcher(silence: Silence): Matcher {
    const known = this.#matchers.get(silence);
    if (known) return known;
    const matcher = compileMatchers(silence.matchers);
    this.#matchers.set(silence, matcher);
    return matcher;
  }
}

/** Looks at a firing member again, and says so when it is now kept back for another reason than before. */
export function look(context: Context, member: Member, alert: Alert, now: number): Suppression | null {
  const { state, suppressor, say } = context;
  const why = suppressor.why(alert, now) ?? (state.acks.get(alert.id) ? "acknowledged" : null);
  if (why === member.why) return why;
  member.why = why;
  state.touchMember(member);
  if (why !== null) say({ kind: "suppressed", why, alert });
  return why;
}
