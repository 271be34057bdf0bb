/** One device: what it is doing, its charts, and for how long to look back. */
import { useMemo } from "preact/hooks";
import type { ApiAlert } from "../../../api/schemas.js";
import { formatAge, formatCount, formatDuration, formatFull } from "../format.js";
import { firingDevices, toneOf } from "../model/alerts.js";
import { stateOf } from "../model/fleet.js";
import type { Span } from "../model/time-range.js";
import type { Route } from "../router.js";
import { navigate } from "../session.js";
import { page } from "../state.js";
import { useStore } from "../store.js";
import { MetricCard } from "./metric-card.js";
import { RangePicker } from "./range-picker.js";

type DeviceRoute = Extract<Route, { page: "device" }>;

/** Half of the interval that "show the latest reading" opens around it. */
const AROUND_MS = 30 * 60_000;

export function DeviceDetail({ route }: { route: DeviceRoute }) {
  const device = useStore(page, (state) => state.fleet.byId.get(route.device));
  const known = useStore(page, (state) => state.fleetKnown);
  const allAlerts = useStore(page, (state) => state.alerts);
  const alerts = useMemo(
    () => allAlerts.filter((alert) => alert.device === route.device),
    [allAlerts, route.device],
  );
  const metrics = useMemo(() => firingFirst(device?.metrics ?? [], alerts), [device?.metrics.join(), alerts]);
  const showSpan = (span: Span) => navigate({ ...route, view: { ...route.view, span } });
  const showLatest = () => {
    const at = device!.lastTs;
    showSpan({ kind: "fixed", from: at - AROUND_MS, to: at + AROUND_MS });
  };
  return (
    <>
      <div class="device-head">
        <a class="back" href="#/">
          ← Fleet
        </a>
        <h1 class="title">{route.device}</h1>
        {device && <Facts device={route.device} />}
      </div>
      <RangePicker route={route} />
      {!device && (
        <p class="quiet pad">
          {known ? "This device has sent nothing that is still known here." : "Loading…"}
        </p>
      )}
      <div class="charts">
        {metrics.map((metric) => (
          <MetricCard
            key={metric}
            device={route.device}
            metric={metric}
            view={route.view}
            showP95={route.p95}
            alerts={alerts.filter((alert) => alert.metric === metric)}
            onZoom={(from, to) => showSpan({ kind: "fixed", from, to })}
            onShowLatest={showLatest}
          />
        ))}
      </div>
    </>
  );
}

/** Whoever follows an alert here wants to see its chart first. */
function firingFirst(metrics: readonly string[], alerts: readonly ApiAlert[]): string[] {
  const firing = (metric: string) =>
    alerts.some((alert) => alert.metric === metric && alert.state === "firing");
  return [...metrics].sort((a, b) => Number(firing(b)) - Number(firing(a)));
}

function Facts({ device: id }: { device: string }) {
  const device = useStore(page, (state) => state.fleet.byId.get(id))!;
  const now = useStore(page, (state) => state.now);
  const alerts = useStore(page, (state) => state.alerts);
  const firing = firingDevices(alerts);
  const state = stateOf(device, now, firing);
  const tone = { alerting: toneOf(firing.get(id)), online: "good", silent: "idle" }[state];
  const delayMs = device.lastIngestTs - device.lastTs;
  return (
    <>
      <span class={`pill ${tone}`}>
        <i class="dot" aria-hidden="true" />
        {state[0]!.toUpperCase() + state.slice(1)}
      </span>
      <dl class="facts">
        <div title={formatFull(device.lastIngestTs)}>
          <dt>Last heard</dt>
          <dd>{formatAge(device.lastIngestTs, now)}</dd>
        </div>
        <div>
          <dt>Readings</dt>
          <dd>{formatCount(device.readings)}</dd>
        </div>
        {Math.abs(delayMs) > 60_000 && (
          <div title="The device's own time against the time its reading came in">
            <dt>Its time</dt>
            <dd>
              {formatDuration(Math.abs(delayMs))} {delayMs > 0 ? "behind" : "ahead"}
            </dd>
          </div>
        )}
      </dl>
    </>
  );
}
