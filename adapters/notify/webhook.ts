/**
 * Webhook: the notification as JSON, signed, with its id as the idempotency key.
 *
 * Signature: `X-Sluice-Signature: t=<epoch seconds>,v1=<hex>`, an HMAC-SHA256 over `<t>.<body>` with the shared secret;
 * the receiver refuses an old `t`, so that a request that was overheard cannot be sent again later.
 */
import { createHmac } from "node:crypto";
import { z } from "zod";
import type { Channel } from "../../contracts/ports/channel.js";
import { postJson } from "./http.js";
import { type ChannelDeps, common, headerText, httpUrl, parseSettings } from "./settings.js";

export const webhookSchema = z.strictObject({
  ...common,
  type: z.literal("webhook"),
  url: httpUrl,
  /** Signs; without it requests are not signed. */
  secret: z.string().min(1).optional(),
  /** Sent along, for instance `authorization`. */
  headers: z.record(z.string().regex(/^[A-Za-z0-9-]+$/), headerText).default({}),
});

export function createWebhook(settings: unknown, id: string, deps: ChannelDeps): Channel {
  const { url, secret, headers, timeout } = parseSettings(webhookSchema, settings, id, deps);
  const secrets = [secret ?? "", ...Object.values(headers)];
  return {
    name: "webhook",
    wantsEveryAlert: true,
    send(notification, signal) {
      const body = JSON.stringify(notification);
      const seconds = Math.floor(deps.clock.now() / 1_000);
      const signature = secret === undefined ? {} : { "x-sluice-signature": sign(secret, seconds, body) };
      return postJson({
        url,
        body,
        headers: { ...headers, ...signature, "idempotency-key": notification.id },
        timeoutMs: timeout,
        signal,
        secrets,
      });
    },
  };
}

function sign(secret: string, seconds: number, body: string): string {
  return `t=${seconds},v1=${createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex")}`;
}
