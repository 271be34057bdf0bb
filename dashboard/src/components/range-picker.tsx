/** Which interval and which resolution the charts show. */
import { formatFull } from "../format.js";
import {
  DEFAULT_RANGE,
  intervalOf,
  pickResolution,
  RANGES,
  type ResolutionChoice,
  type Span,
} from "../model/time-range.js";
import type { Route } from "../router.js";
import { navigate } from "../session.js";
import { page } from "../state.js";
import { useStore } from "../store.js";

type DeviceRoute = Extract<Route, { page: "device" }>;

export const NO_RESOLUTIONS: readonly ResolutionChoice[] = [];

export function RangePicker({ route }: { route: DeviceRoute }) {
  const resolutions = useStore(page, (state) => state.info?.resolutions ?? NO_RESOLUTIONS);
  const { span, resolution } = route.view;
  const showSpan = (next: Span) => navigate({ ...route, view: { ...route.view, span: next } });
  const { from, to } = intervalOf(span, page.get().now);
  const used = resolutions.length > 0 ? pickResolution(resolution, to - from, resolutions).name : "";
  return (
    <div class="toolbar" role="toolbar" aria-label="Time range and resolution">
      <fieldset class="segments" aria-label="Time range">
        {RANGES.map(({ name }) => (
          <button
            type="button"
            key={name}
            aria-pressed={span.kind === "last" && span.range === name}
            onClick={() => showSpan({ kind: "last", range: name })}
          >
            {name}
          </button>
        ))}
      </fieldset>
      <fieldset class="segments" aria-label="Resolution">
        {["auto", ...resolutions.map(({ name }) => name)].map((name) => (
          <button
            type="button"
            key={name}
            aria-pressed={resolution === name}
            title={name === "auto" ? `As fine as can be drawn: now ${used}` : `One point every ${name}`}
            onClick={() => navigate({ ...route, view: { ...route.view, resolution: name } })}
          >
            {name === "auto" && used ? `auto ${used}` : name}
          </button>
        ))}
      </fieldset>
      <button
        type="button"
        class="toggle"
        aria-pressed={route.p95}
        title="The 95th percentile of each window"
        onClick={() => navigate({ ...route, p95: !route.p95 })}
      >
        p95
      </button>
      {span.kind === "fixed" ? <FixedSpan from={from} to={to} show={showSpan} /> : <Live />}
    </div>
  );
}

function FixedSpan({ from, to, show }: { from: number; to: number; show: (span: Span) => void }) {
  const width = to - from;
  const move = (byMs: number) => show({ kind: "fixed", from: from + byMs, to: to + byMs });
  return (
    <div class="fixed">
      <button type="button" aria-label="Earlier" onClick={() => move(-width / 2)}>
        ‹
      </button>
      <span class="quiet">
        {formatFull(from)} – {formatFull(to)}
      </span>
      <button type="button" aria-label="Later" onClick={() => move(width / 2)}>
        ›
      </button>
      <button
        type="button"
        title="Twice as much"
        aria-label="Zoom out"
        onClick={() => show({ kind: "fixed", from: from - width / 2, to: to + width / 2 })}
      >
        −
      </button>
      <button type="button" class="primary" onClick={() => show({ kind: "last", range: DEFAULT_RANGE })}>
        Back to live
      </button>
    </div>
  );
}

function Live() {
  const live = useStore(page, (state) => state.connection.state === "live");
  return (
    <span class={`live ${live ? "on" : ""}`} title="Drag across a chart to look closer">
      <i class="dot" aria-hidden="true" />
      {live ? "Live" : "Not live"}
    </span>
  );
}
