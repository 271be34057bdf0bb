/** One metric of a device: its latest value and its chart, which is asked for when it comes into sight. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { ApiAlert, ApiRollupRow } from "../../../api/schemas.js";
import { formatAge, formatCount, formatShort, formatTime, formatValue } from "../format.js";
import { firingDevices, toneOf } from "../model/alerts.js";
import type { TimeView } from "../model/time-range.js";
import { page } from "../state.js";
import { useStore } from "../store.js";
import { MetricChart } from "./metric-chart.js";
import { useSeries } from "./use-series.js";

export interface MetricCardProps {
  device: string;
  metric: string;
  view: TimeView;
  showP95: boolean;
  alerts: readonly ApiAlert[];
  onZoom: (from: number, to: number) => void;
  onShowLatest: () => void;
}

export function MetricCard(props: MetricCardProps) {
  const { device, metric, view, showP95, alerts, onZoom, onShowLatest } = props;
  const card = useRef<HTMLElement>(null);
  const seen = useSeen(card);
  const [hovered, setHovered] = useState<number>();
  const latest = useStore(page, (state) => state.fleet.byId.get(device)?.latest[metric]);
  const state = useSeries({ device, metric, view }, seen);
  const { series, resolution, loading, trouble } = state;
  const firing = firingDevices(alerts).get(device);
  const empty = series?.length === 0 && !loading && !trouble;
  return (
    <section
      ref={card}
      class={`card metric ${firing ? `firing ${toneOf(firing)}` : ""}`}
      data-metric={metric}
    >
      <header>
        <h2>{metric}</h2>
        <output class="latest" aria-label={`Latest ${metric}`}>
          {formatValue(latest)}
        </output>
        {firing && <span class={`tag ${toneOf(firing)}`}>alert</span>}
        <Readout
          row={hovered === undefined ? series?.last() : series?.at(hovered)}
          hovered={hovered !== undefined}
          showP95={showP95}
        />
      </header>
      <div class="chart-box">
        {series && resolution && (
          <MetricChart
            series={series}
            version={state.version}
            view={view}
            showP95={showP95}
            alerts={alerts}
            label={`${metric} of ${device}`}
            onZoom={onZoom}
            onHover={setHovered}
          />
        )}
        {loading && !series && <p class="chart-note">Loading…</p>}
        {trouble && (
          <p class="chart-note bad" role="alert">
            {trouble} Trying again.
          </p>
        )}
        {empty && <NothingHere device={device} onShowLatest={onShowLatest} />}
      </div>
    </section>
  );
}

interface ReadoutProps {
  row: ApiRollupRow | undefined;
  hovered: boolean;
  showP95: boolean;
}

function Readout({ row, hovered, showP95 }: ReadoutProps) {
  const now = useStore(page, (state) => (hovered ? 0 : state.now));
  if (!row) return null;
  return (
    <dl class="readout">
      <div class="readout-time">
        <dt>Window</dt>
        <dd>{formatTime(row.start, now || Date.now())}</dd>
      </div>
      <Field name="mean" value={formatShort(row.mean)} />
      <Field name="min" value={formatShort(row.min)} />
      <Field name="max" value={formatShort(row.max)} />
      {showP95 && <Field name="p95" value={formatShort(row.p95)} />}
      <Field name="n" value={formatCount(row.count)} />
    </dl>
  );
}

function Field({ name, value }: { name: string; value: string }) {
  return (
    <div class={`field-${name}`}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function NothingHere({ device, onShowLatest }: { device: string; onShowLatest: () => void }) {
  const lastTs = useStore(page, (state) => state.fleet.byId.get(device)?.lastTs);
  const now = useStore(page, (state) => state.now);
  return (
    <p class="chart-note">
      Nothing in this range.
      {lastTs !== undefined && (
        <button type="button" class="link" onClick={onShowLatest}>
          Show the latest, {formatAge(lastTs, now)}
        </button>
      )}
    </p>
  );
}

/** True once the element has come near the visible part of the page. */
function useSeen(element: { current: HTMLElement | null }): boolean {
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const observer = new IntersectionObserver(
      ([entry]) => {
        if (!entry!.isIntersecting) return;
        setSeen(true);
        observer.disconnect();
      },
      { rootMargin: "200px" },
    );
    observer.observe(element.current!);
    return () => observer.disconnect();
  }, []);
  return seen;
}
