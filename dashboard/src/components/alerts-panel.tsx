/** Alerts, firing first, each with why it was raised. */
import { useState } from "preact/hooks";
import type { ApiAlert } from "../../../api/schemas.js";
import { formatAge, formatDuration, formatFull, formatValue } from "../format.js";
import { toneOf } from "../model/alerts.js";
import { DEFAULT_VIEW, type TimeView } from "../model/time-range.js";
import { formatRoute } from "../router.js";
import { page } from "../state.js";
import { useStore } from "../store.js";
import { BandGauge } from "./band-gauge.js";

const SHOWN_AT_FIRST = 20;
const AROUND_MS = 15 * 60_000;

export function AlertsPanel() {
  const all = useStore(page, (state) => state.alerts);
  const route = useStore(page, (state) => state.route);
  const [limit, setLimit] = useState(SHOWN_AT_FIRST);
  const [onlyThis, setOnlyThis] = useState(false);
  const device = route.page === "device" ? route.device : undefined;
  const alerts = onlyThis && device !== undefined ? all.filter((alert) => alert.device === device) : all;
  const firing = alerts.filter((alert) => alert.state === "firing").length;
  return (
    <section class="panel" data-testid="alerts">
      <header>
        <h2>Alerts</h2>
        <span class={`count ${firing > 0 ? "bad" : ""}`}>{firing} firing</span>
        {device !== undefined && (
          <label class="only">
            <input
              type="checkbox"
              checked={onlyThis}
              onChange={(event) => setOnlyThis(event.currentTarget.checked)}
            />
            this device
          </label>
        )}
      </header>
      {alerts.length === 0 && <p class="quiet pad">No alerts. All quiet.</p>}
      <ul class="cards">
        {alerts.slice(0, limit).map((alert) => (
          <AlertCard key={alert.id} alert={alert} />
        ))}
      </ul>
      {alerts.length > limit && (
        <button type="button" class="more" onClick={() => setLimit(limit + 50)}>
          Show more ({alerts.length - limit})
        </button>
      )}
    </section>
  );
}

function AlertCard({ alert }: { alert: ApiAlert }) {
  const now = useStore(page, (state) => state.now);
  const firing = alert.state === "firing";
  const lasted = (alert.resolvedAt ?? now) - alert.startedAt;
  const route = { page: "device", device: alert.device, view: viewOf(alert), p95: false } as const;
  return (
    <li class={`alert ${alert.state} ${alert.severity}`}>
      <a href={formatRoute(route)}>
        <span class="alert-head">
          <span class={`tag ${firing ? toneOf(alert.severity) : ""}`}>
            {firing ? alert.severity : "resolved"}
          </span>
          <span class="alert-what">
            {alert.device} · {alert.metric}
          </span>
          <time title={formatFull(alert.startedAt)}>{formatAge(alert.startedAt, now)}</time>
        </span>
        <span class="alert-summary">{alert.summary}</span>
        <span class="alert-why">
          {alert.lower !== undefined && alert.upper !== undefined && (
            <BandGauge
              lower={alert.lower}
              upper={alert.upper}
              expected={alert.expected}
              value={alert.value}
            />
          )}
          <span>
            score <b>{alert.score.toFixed(2)}</b> over {formatValue(alert.threshold)}
          </span>
          <span>{alert.detector}</span>
          <span>{alert.rule}</span>
          <span>
            {firing ? "for" : "lasted"} {formatDuration(lasted)}
          </span>
        </span>
      </a>
    </li>
  );
}

/** What to show of the device: now while it fires, else the time around the episode. */
function viewOf(alert: ApiAlert): TimeView {
  if (alert.state === "firing") return DEFAULT_VIEW;
  const to = (alert.resolvedAt ?? alert.updatedAt) + AROUND_MS;
  return { ...DEFAULT_VIEW, span: { kind: "fixed", from: alert.startedAt - AROUND_MS, to } };
}
