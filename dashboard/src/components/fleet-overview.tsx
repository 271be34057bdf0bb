/** The fleet when no device is chosen: the map of devices, the path of readings, the rates of the last minutes. */
import { formatCount } from "../format.js";
import { page } from "../state.js";
import { useStore } from "../store.js";
import { FleetMap } from "./fleet-map.js";
import { Pipeline } from "./pipeline.js";
import { RateChart } from "./rate-chart.js";

export function FleetOverview() {
  const devices = useStore(page, (state) => state.fleet.ids.length);
  return (
    <>
      <h1 class="title">
        Fleet <span class="quiet">{formatCount(devices)} devices</span>
      </h1>
      <section class="card">
        <h2>Devices by state</h2>
        <FleetMap />
      </section>
      <section class="card">
        <h2>The path of a reading</h2>
        <Pipeline />
      </section>
      <section class="card">
        <h2>Readings per second, while this page is open</h2>
        <RateChart />
      </section>
      <AllCounters />
    </>
  );
}

function AllCounters() {
  const stats = useStore(page, (state) => state.stats);
  const rows = Object.entries(stats).flatMap(([name, value]): [string, number][] => {
    if (name === "now") return [];
    if (typeof value === "number") return [[name, value]];
    if (value === null || typeof value !== "object") return [];
    return Object.entries(value)
      .filter((entry): entry is [string, number] => typeof entry[1] === "number" && entry[1] !== 0)
      .map(([key, count]) => [`${name}.${key}`, count]);
  });
  return (
    <details class="card counters">
      <summary>
        <h2>Every counter</h2>
      </summary>
      <dl>
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{formatCount(value)}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
