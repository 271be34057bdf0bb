/**
 * PagerDuty Events API v2, and what understands it.
 *
 * A group is one incident: its key is the `dedup_key`, so a repeat adds to the incident and its end resolves it.
 * https://developer.pagerduty.com/docs/send-alert-event
 */
import { z } from "zod";
import type { Channel, Notification } from "../../contracts/ports/channel.js";
import { postJson } from "./http.js";
import { type ChannelDeps, common, httpUrl, parseSettings } from "./settings.js";
import { linesOf, titleOf } from "./text.js";

export const pagerDutySchema = z.strictObject({
  ...common,
  type: z.literal("pagerduty"),
  /** The integration key: a secret. */
  routing_key: z.string().min(1),
  url: httpUrl.default("https://events.pagerduty.com/v2/enqueue"),
});

/** PagerDuty's limit. */
const MAX_SUMMARY = 1_024;

export function createPagerDuty(settings: unknown, id: string, deps: ChannelDeps): Channel {
  const { url, routing_key, timeout } = parseSettings(pagerDutySchema, settings, id, deps);
  return {
    name: "pagerduty",
    send(notification, signal) {
      const body = JSON.stringify({ routing_key, client: "Sluice", ...eventOf(notification) });
      const headers = { "idempotency-key": notification.id };
      return postJson({ url, body, headers, timeoutMs: timeout, signal, secrets: [routing_key] });
    },
  };
}

function eventOf(notification: Notification): object {
  const { id, groupKey, groupLabels, firing, resolved, alerts, status } = notification;
  const worst = alerts[0];
  return {
    event_action: status === "firing" ? "trigger" : "resolve",
    dedup_key: groupKey,
    payload: {
      summary: titleOf(notification).slice(0, MAX_SUMMARY),
      source: worst?.device ?? "sluice",
      severity: worst?.severity ?? "info",
      timestamp: new Date(worst?.startedAt ?? notification.createdAt).toISOString(),
      component: worst?.metric,
      class: worst?.rule,
      custom_details: {
        notification: id,
        group: groupLabels,
        firing,
        resolved,
        alerts: linesOf(notification),
      },
    },
  };
}
