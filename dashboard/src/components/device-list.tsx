/**
 * The fleet as a list: search, filter by state, arrow keys. Only the rows in sight are in the document, so that
 * ten thousand devices cost what twenty do.
 */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { formatCount } from "../format.js";
import { firingDevices } from "../model/alerts.js";
import { type FleetView, type StateFilter, viewFleet } from "../model/fleet.js";
import { DEFAULT_VIEW } from "../model/time-range.js";
import { navigate } from "../session.js";
import { page } from "../state.js";
import { useStore } from "../store.js";
import { DeviceRow, ROW_HEIGHT_PX } from "./device-row.js";

const FILTERS: [StateFilter, string][] = [
  ["all", "All"],
  ["alerting", "Alerting"],
  ["online", "Online"],
  ["silent", "Silent"],
];
/** Rows kept above and below the ones in sight. */
const OVERSCAN = 6;
/** Time alone makes devices silent; the counts need not follow at once. */
const STATES_EVERY_MS = 5_000;

export function DeviceList() {
  const [search, setSearch] = useState("");
  const [filter, setFilter] = useState<StateFilter>("all");
  const fleet = useStore(page, (state) => state.fleet);
  const known = useStore(page, (state) => state.fleetKnown);
  const alerts = useStore(page, (state) => state.alerts);
  const now = useStore(page, (state) => Math.floor(state.now / STATES_EVERY_MS) * STATES_EVERY_MS);
  const firing = useMemo(() => firingDevices(alerts), [alerts]);
  const view = useMemo(
    () => viewFleet(fleet, search, filter, now, firing),
    [fleet, search, filter, now, firing],
  );
  return (
    <nav class="devices" aria-label="Devices">
      <Search value={search} onInput={setSearch} />
      <fieldset class="chips" aria-label="Filter by state">
        {FILTERS.map(([name, label]) => (
          <button
            type="button"
            key={name}
            class={`chip ${name}`}
            aria-pressed={filter === name}
            onClick={() => setFilter(name)}
          >
            <b>{formatCount(view.counts[name])}</b> {label}
          </button>
        ))}
      </fieldset>
      <Rows view={view} />
      {known && view.ids.length === 0 && (
        <p class="quiet">No device matches. Try fewer words or another state.</p>
      )}
      {!known && <p class="quiet">Loading devices…</p>}
    </nav>
  );
}

function Search({ value, onInput }: { value: string; onInput: (text: string) => void }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const typing = /^(INPUT|SELECT|TEXTAREA)$/.test((event.target as HTMLElement).tagName);
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      input.current?.focus();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  return (
    <div class="search">
      <input
        ref={input}
        type="search"
        placeholder="Search devices and metrics"
        aria-label="Search devices and metrics"
        autocomplete="off"
        spellcheck={false}
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") document.getElementById("device-rows")?.focus();
          if (event.key === "Escape") onInput("");
        }}
      />
      <span class="hint" aria-hidden="true">
        /
      </span>
    </div>
  );
}

function Rows({ view }: { view: FleetView }) {
  const { ids } = view;
  const box = useRef<HTMLDivElement>(null);
  const [sight, setSight] = useState({ top: 0, height: 800 });
  const [active, setActive] = useState<string>();
  const selected = useStore(page, ({ route }) => (route.page === "device" ? route.device : undefined));
  useEffect(() => {
    const element = box.current!;
    const measure = () => setSight({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener("scroll", measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", measure);
    };
  }, []);
  const first = Math.max(0, Math.floor(sight.top / ROW_HEIGHT_PX) - OVERSCAN);
  const last = Math.min(ids.length, Math.ceil((sight.top + sight.height) / ROW_HEIGHT_PX) + OVERSCAN);
  const move = (event: KeyboardEvent) => {
    const at = active === undefined ? -1 : ids.indexOf(active);
    const page = Math.max(1, Math.floor(sight.height / ROW_HEIGHT_PX) - 1);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
    const jump: Record<string, number> = { Home: 0, End: ids.length - 1 };
    if (event.key === "Enter" && active !== undefined) {
      navigate({ page: "device", device: active, view: DEFAULT_VIEW, p95: false });
      return;
    }
    const to = jump[event.key] ?? at + (steps[event.key] ?? Number.NaN);
    if (Number.isNaN(to) || ids.length === 0) return;
    event.preventDefault();
    const target = Math.min(ids.length - 1, Math.max(0, to));
    setActive(ids[target]);
    scrollIntoSight(box.current!, target);
  };
  return (
    <div
      ref={box}
      id="device-rows"
      class="rows"
      role="listbox"
      tabIndex={0}
      aria-label={`${ids.length} devices`}
      aria-activedescendant={active === undefined ? undefined : `row-${active}`}
      onKeyDown={move}
      onFocus={() => setActive((known) => known ?? selected ?? ids[0])}
    >
      <div class="rows-space" style={{ height: `${ids.length * ROW_HEIGHT_PX}px` }}>
        {ids.slice(first, last).map((id, index) => (
          <DeviceRow
            key={id}
            id={id}
            index={first + index}
            count={ids.length}
            selected={id === selected}
            active={id === active}
          />
        ))}
      </div>
    </div>
  );
}

function scrollIntoSight(element: HTMLElement, index: number): void {
  const top = index * ROW_HEIGHT_PX;
  if (top < element.scrollTop) element.scrollTop = top;
  const bottom = top + ROW_HEIGHT_PX;
  if (bottom > element.scrollTop + element.clientHeight) element.scrollTop = bottom - element.clientHeight;
}
