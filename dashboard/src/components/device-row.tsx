/** One device of the list: its state, when it was last heard, its latest values. */
import { formatAge, formatShort } from "../format.js";
import { firingDevices, toneOf } from "../model/alerts.js";
import { type DeviceState, stateOf } from "../model/fleet.js";
import { DEFAULT_VIEW } from "../model/time-range.js";
import { formatRoute } from "../router.js";
import { page } from "../state.js";
import { useStore } from "../store.js";

export const ROW_HEIGHT_PX = 52;
const SHOWN_VALUES = 3;

export const STATE_WORDS: Record<DeviceState, string> = {
  alerting: "An alert is firing",
  online: "Online",
  silent: "Silent for more than a minute",
};

export interface DeviceRowProps {
  id: string;
  index: number;
  count: number;
  selected: boolean;
  active: boolean;
}

export function DeviceRow({ id, index, count, selected, active }: DeviceRowProps) {
  const device = useStore(page, (state) => state.fleet.byId.get(id));
  const now = useStore(page, (state) => state.now);
  const alerts = useStore(page, (state) => state.alerts);
  if (!device) return null;
  const firing = firingDevices(alerts);
  const state = stateOf(device, now, firing);
  const shown = device.metrics.slice(0, SHOWN_VALUES);
  return (
    <a
      class={`row ${state} ${firing.get(id) ?? ""}`}
      id={`row-${id}`}
      role="option"
      tabIndex={-1}
      aria-selected={selected}
      aria-setsize={count}
      aria-posinset={index + 1}
      data-active={active || undefined}
      href={formatRoute({ page: "device", device: id, view: DEFAULT_VIEW, p95: false })}
      style={{ top: `${index * ROW_HEIGHT_PX}px`, height: `${ROW_HEIGHT_PX}px` }}
    >
      <span class="row-head">
        <i class="dot" title={STATE_WORDS[state]} />
        <span class="row-name">{id}</span>
        {state === "alerting" && <span class={`tag ${toneOf(firing.get(id))}`}>alert</span>}
        <time class="row-age">{formatAge(device.lastIngestTs, now)}</time>
      </span>
      <span class="row-values">
        {shown.map((metric) => (
          <span key={metric}>
            {metric} <b>{formatShort(device.latest[metric])}</b>
          </span>
        ))}
        {device.metrics.length > SHOWN_VALUES && <span>+{device.metrics.length - SHOWN_VALUES}</span>}
      </span>
    </a>
  );
}
