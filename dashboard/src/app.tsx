/**
 * The page: header, devices on the left, one device or the fleet in the middle, alerts and dead letters on the right.
 */
import { useEffect } from "preact/hooks";
import { AlertsPanel } from "./components/alerts-panel.js";
import { DeadLettersPanel } from "./components/dead-letters-panel.js";
import { DeviceDetail } from "./components/device-detail.js";
import { DeviceList } from "./components/device-list.js";
import { EmptyState } from "./components/empty-state.js";
import { FleetOverview } from "./components/fleet-overview.js";
import { Header } from "./components/header.js";
import { Notices } from "./components/notices.js";
import { page } from "./state.js";
import { useStore } from "./store.js";

export function App() {
  const route = useStore(page, (state) => state.route);
  const empty = useStore(page, (state) => state.fleetKnown && state.fleet.ids.length === 0);
  useTitle();
  return (
    <div class={`page page-${route.page}`}>
      <button type="button" class="skip" onClick={() => document.getElementById("main")?.focus()}>
        Skip to the charts
      </button>
      <Header />
      <Notices />
      <div class="columns">
        {!empty && <DeviceList />}
        <main id="main" class="main" tabIndex={-1}>
          {empty && <EmptyState />}
          {!empty && route.page === "fleet" && <FleetOverview />}
          {!empty && route.page === "device" && <DeviceDetail key={route.device} route={route} />}
        </main>
        <aside class="rail" aria-label="Alerts and dead letters">
          <AlertsPanel />
          <DeadLettersPanel />
        </aside>
      </div>
    </div>
  );
}

/** The tab says what is on screen and how many alerts fire, so that it can be left in the background. */
function useTitle(): void {
  const route = useStore(page, (state) => state.route);
  const firing = useStore(page, (state) => state.alerts.filter((alert) => alert.state === "firing").length);
  useEffect(() => {
    const what = route.page === "device" ? `${route.device} · Sluice` : "Sluice";
    document.title = firing > 0 ? `(${firing}) ${what}` : what;
  }, [route, firing]);
}
