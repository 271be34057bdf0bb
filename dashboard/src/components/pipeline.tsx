/** Where readings are on their way, with what left the path at each hop. */
import { formatCount, formatRate } from "../format.js";
import { rateOf } from "../model/rates.js";
import { page } from "../state.js";
import { useStore } from "../store.js";

interface Hop {
  counter: string;
  label: string;
  /** What its total counts from: the gateway starts at zero, processors keep theirs with their state. */
  since: string;
  leaves: [counter: string, label: string][];
}

const HOPS: Hop[] = [
  { counter: "received", label: "Received", since: "since the start", leaves: [["invalid", "invalid"]] },
  { counter: "readings", label: "In the log", since: "since the start", leaves: [["refused", "refused"]] },
  {
    counter: "processed",
    label: "Processed",
    since: "of the whole log",
    leaves: [
      ["duplicates", "duplicate"],
      ["late", "late"],
    ],
  },
  { counter: "counted", label: "In rollups", since: "of the whole log", leaves: [] },
];

export function Pipeline() {
  const stats = useStore(page, (state) => state.stats);
  const samples = useStore(page, (state) => state.samples);
  const number = (name: string) => (typeof stats[name] === "number" ? (stats[name] as number) : undefined);
  return (
    <ol class="hops">
      {HOPS.filter((hop) => number(hop.counter) !== undefined).map((hop) => (
        <li key={hop.counter}>
          <span class="hop-label">{hop.label}</span>
          <b>
            {formatRate(rateOf(samples, hop.counter))}
            <small>/s</small>
          </b>
          <span class="quiet">
            {formatCount(number(hop.counter))} {hop.since}
          </span>
          {hop.leaves.map(([counter, label]) => (
            <span class={`leaves ${number(counter) ? "some" : ""}`} key={counter}>
              {formatCount(number(counter))} {label}
            </span>
          ))}
        </li>
      ))}
    </ol>
  );
}
