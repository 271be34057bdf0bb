/** Health at a glance and the live rates. */
import { formatCount, formatRate } from "../format.js";
import { rateOf } from "../model/rates.js";
import { type PageState, page } from "../state.js";
import { useStore } from "../store.js";

interface Tile {
  label: string;
  value: string;
  note?: string;
  tone?: "warn" | "bad" | undefined;
  title: string;
}

export function Header() {
  const stats = useStore(page, (state) => state.stats);
  const samples = useStore(page, (state) => state.samples);
  return (
    <header class="top">
      <a class="brand" href="#/" aria-label="Sluice: the fleet">
        <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
          <path
            d="M3 11c4 0 4 4 8.5 4S16 11 20 11s4.5 4 9 4M3 19c4 0 4 4 8.5 4S16 19 20 19s4.5 4 9 4"
            fill="none"
            stroke="currentColor"
            stroke-width="3"
            stroke-linecap="round"
          />
        </svg>
        <span>Sluice</span>
      </a>
      <Health />
      <dl class="tiles">
        {tiles(stats, samples).map((tile) => (
          <div class={`tile ${tile.tone ?? ""}`} key={tile.label} title={tile.title}>
            <dt>{tile.label}</dt>
            <dd>
              {tile.value}
              {tile.note && <small>{tile.note}</small>}
            </dd>
          </div>
        ))}
      </dl>
    </header>
  );
}

function tiles(stats: PageState["stats"], samples: PageState["samples"]): Tile[] {
  const count = (name: string) => (typeof stats[name] === "number" ? (stats[name] as number) : undefined);
  const rate = (name: string) => rateOf(samples, name);
  const rising = (name: string, label: string, title: string, tone: "warn" | "bad"): Tile => {
    const perSecond = rate(name) ?? 0;
    const note = perSecond > 0 ? `+${formatRate(perSecond)}/s` : undefined;
    return {
      label,
      title,
      value: formatCount(count(name)),
      ...(note && { note }),
      tone: perSecond > 0 ? tone : undefined,
    };
  };
  const lag = count("lag");
  return [
    {
      label: "Received",
      value: formatRate(rate("received")),
      note: "/s",
      title: `${formatCount(count("received"))} received since the gateway started`,
    },
    {
      label: "Readings",
      value: formatRate(rate("readings")),
      note: "/s",
      title: `${formatCount(count("readings"))} readings durable in the log since the gateway started`,
    },
    rising("invalid", "Invalid", "Messages that became dead letters", "bad"),
    rising("late", "Late", "Readings too late to correct a rollup", "warn"),
    rising("duplicates", "Duplicates", "Re-sent readings, counted once", "warn"),
    {
      label: "Lag",
      value: formatCount(lag),
      title: "Readings in the log that are not processed yet",
      tone: lag !== undefined && lag > 100_000 ? "warn" : undefined,
    },
  ];
}

function Health() {
  const connection = useStore(page, (state) => state.connection);
  const readiness = useStore(page, (state) => state.readiness);
  const failed = readiness?.checks.filter((check) => !check.ok) ?? [];
  const [tone, text] =
    connection.state === "lost"
      ? ["bad", "Disconnected"]
      : connection.state === "connecting" || !readiness
        ? ["idle", "Connecting"]
        : readiness.ok
          ? ["good", "Healthy"]
          : [
              "bad",
              failed.length > 0 ? `Not ready: ${failed.map((check) => check.name).join(", ")}` : "Not ready",
            ];
  const title = readiness?.checks.map((check) => `${check.name}: ${check.detail}`).join("\n");
  return (
    <span class={`pill ${tone}`} role="status" title={title} data-testid="health">
      <i class="dot" aria-hidden="true" />
      {text}
    </span>
  );
}
