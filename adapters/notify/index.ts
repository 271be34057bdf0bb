/**
 * The kinds of channels, by the `type` of a receiver's entry.
 */
import { SluiceError } from "../../contracts/errors.js";
import type { Channel } from "../../contracts/ports/channel.js";
import { createAlertmanager } from "./alertmanager.js";
import { createEmail } from "./email.js";
import { createPagerDuty } from "./pagerduty.js";
import type { ChannelDeps } from "./settings.js";
import { createSlack } from "./slack.js";
import { createWebhook } from "./webhook.js";

export type { ChannelDeps } from "./settings.js";

const KINDS: ReadonlyMap<string, (settings: unknown, id: string, deps: ChannelDeps) => Channel> = new Map([
  ["webhook", createWebhook],
  ["slack", createSlack],
  ["email", createEmail],
  ["pagerduty", createPagerDuty],
  ["alertmanager", createAlertmanager],
]);

/**
 * The `channels` factory of the notifier.
 * @throws SluiceError CONFIG_INVALID that names the channel and the setting, never a value
 */
export function notifyChannels(deps: ChannelDeps): (config: { type: string }, id: string) => Channel {
  return (config, id) => {
    const create = KINDS.get(config.type);
    if (create) return create(config, id, deps);
    const known = [...KINDS.keys()].join(", ");
    throw new SluiceError(
      "CONFIG_INVALID",
      `channel ${id}: there is no type "${config.type}"; known are ${known}`,
    );
  };
}
