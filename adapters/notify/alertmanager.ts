/**
 * Alertmanager API v2 (`POST /api/v2/alerts`): hands alerts over to an Alertmanager, which then routes by its own rules.
 *
 * An alert is told by its labels, so that sending it twice is sending it once. Alertmanager ends what is not repeated;
 * a firing alert is therefore given an end ahead (`hold`), longer than the route's `repeat_interval`.
 */
import { z } from "zod";
import { SluiceError } from "../../contracts/errors.js";
import type { Channel, NotifiedAlert } from "../../contracts/ports/channel.js";
import { parseDurationMs } from "../../contracts/window.js";
import { postJson } from "./http.js";
import { type ChannelDeps, common, headerText, httpUrl, parseSettings } from "./settings.js";

export const alertmanagerSchema = z.strictObject({
  ...common,
  type: z.literal("alertmanager"),
  /** Without `/api/v2`. */
  url: httpUrl,
  /** `user:password`, or any other `authorization` in `headers`. */
  headers: z.record(z.string().regex(/^[A-Za-z0-9-]+$/), headerText).default({}),
  /** Added to every alert. */
  labels: z.record(z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/), z.string()).default({}),
  hold: z.string().default("24h"),
});

export function createAlertmanager(settings: unknown, id: string, deps: ChannelDeps): Channel {
  const { url, headers, labels, hold, timeout } = parseSettings(alertmanagerSchema, settings, id, deps);
  const holdMs = parseDurationMs(hold);
  if (holdMs === undefined || holdMs <= 0)
    throw new SluiceError(
      "CONFIG_INVALID",
      `channel ${id}: hold: ${JSON.stringify(hold)} is not a duration such as 24h`,
    );
  return {
    name: "alertmanager",
    wantsEveryAlert: true,
    send(notification, signal) {
      const now = deps.clock.now();
      const alerts = notification.alerts.map((alert) => alertOf(alert, labels, now, holdMs));
      return postJson({
        url: `${url.replace(/\/+$/, "")}/api/v2/alerts`,
        body: JSON.stringify(alerts),
        headers: { ...headers, "idempotency-key": notification.id },
        timeoutMs: timeout,
        signal,
        secrets: Object.values(headers),
      });
    },
  };
}

function alertOf(alert: NotifiedAlert, labels: Record<string, string>, now: number, holdMs: number): object {
  const { rule, severity, device, metric, summary, value, id, state } = alert;
  // Device clocks may be ahead of Alertmanager's: an end in its future would keep the alert open.
  const endsAt = state === "resolved" ? Math.min(alert.resolvedAt ?? now, now) : now + holdMs;
  const startsAt = Math.min(alert.startedAt, endsAt - 1);
  return {
    labels: { ...labels, alertname: rule, severity, device, metric },
    annotations: { summary, value: String(value), sluice_alert: id },
    startsAt: new Date(startsAt).toISOString(),
    endsAt: new Date(endsAt).toISOString(),
  };
}
