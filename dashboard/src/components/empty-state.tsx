/** Nothing has come in yet: what to do next, ready to paste. */
import { firstCommand } from "../model/first-command.js";
import { page } from "../state.js";
import { useStore } from "../store.js";
import { CopyLine } from "./copy-line.js";

const DEFAULT_MQTT_PORT = 1883;

export function EmptyState() {
  const info = useStore(page, (state) => state.info);
  const port = info?.mqttPort ?? DEFAULT_MQTT_PORT;
  return (
    <section class="empty" data-testid="empty">
      <h1>Waiting for the first reading</h1>
      <p>Send one from any MQTT client. It shows up here within seconds.</p>
      <CopyLine text={firstCommand(location.hostname, port)} />
      <p class="quiet">
        Devices publish JSON to <code>devices/&#123;deviceId&#125;/telemetry</code> on port {port}; the
        acknowledgement comes once the reading is durable. A message that cannot be read appears under “Dead
        letters” with the reason.
      </p>
    </section>
  );
}
