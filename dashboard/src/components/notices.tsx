/** What is wrong right now, in words, with what the page does about it. */
import { reconnectNow } from "../session.js";
import { page } from "../state.js";
import { useStore } from "../store.js";

export function Notices() {
  const connection = useStore(page, (state) => state.connection);
  const troubles = useStore(page, (state) => state.troubles);
  const checks = useStore(page, (state) => state.readiness)?.checks.filter((check) => !check.ok) ?? [];
  useStore(page, (state) => (state.connection.state === "lost" ? state.now : 0));
  if (connection.state === "lost") {
    const seconds = Math.max(0, Math.ceil((connection.retryAt - Date.now()) / 1_000));
    return (
      <div class="notice bad" role="alert">
        <span>
          The connection to the gateway is lost; what you see may be old. Trying again
          {seconds > 0 ? ` in ${seconds} s` : " now"}.
        </span>
        <button type="button" onClick={reconnectNow}>
          Try now
        </button>
      </div>
    );
  }
  const messages = new Set([
    ...checks.map((check) => `${check.name} is not ready: ${check.detail}.`),
    ...Object.values(troubles),
  ]);
  if (messages.size === 0) return null;
  return (
    <div class="notice bad" role="alert">
      <span>{[...messages].join(" ")} Trying again.</span>
    </div>
  );
}
