/**
 * Slack's incoming webhooks, and what understands them (Mattermost, Rocket.Chat, Discord's `/slack`).
 *
 * They know no idempotency key: the id stands in the footer, so that a person sees that two are one.
 */
import { z } from "zod";
import type { Channel, Notification } from "../../contracts/ports/channel.js";
import { postJson } from "./http.js";
import { type ChannelDeps, common, httpUrl, parseSettings } from "./settings.js";
import { linesOf, titleOf } from "./text.js";

export const slackSchema = z.strictObject({
  ...common,
  type: z.literal("slack"),
  /** The address of the incoming webhook: a secret. */
  url: httpUrl,
  /** Overrides, where the server allows them. */
  channel: z.string().min(1).optional(),
  username: z.string().min(1).optional(),
});

const COLORS = { critical: "#d32f2f", warning: "#f9a825", info: "#1976d2" };
const RESOLVED = "#388e3c";
const MAX_TEXT = 3_000;

export function createSlack(settings: unknown, id: string, deps: ChannelDeps): Channel {
  const { url, channel, username, timeout } = parseSettings(slackSchema, settings, id, deps);
  return {
    name: "slack",
    send(notification, signal) {
      const body = JSON.stringify({ ...messageOf(notification), channel, username });
      return postJson({ url, body, timeoutMs: timeout, signal, secrets: [url, new URL(url).pathname] });
    },
  };
}

function messageOf(notification: Notification): object {
  const title = escaped(titleOf(notification));
  const worst = notification.alerts[0]?.severity ?? "info";
  const attachment = {
    color: notification.status === "resolved" ? RESOLVED : COLORS[worst],
    fallback: title,
    text: escaped(linesOf(notification).join("\n")).slice(0, MAX_TEXT),
    footer: `sluice ${notification.id}`,
    ts: Math.floor(notification.createdAt / 1_000),
  };
  return { text: title, attachments: [attachment] };
}

/** The three characters that Slack's markup asks to escape. */
function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
