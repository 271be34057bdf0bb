/**
 * The notifier as the configuration asks for it.
 */
import { notifyChannels } from "../adapters/notify/index.js";
import type { DeadLetterRecord } from "../contracts/dead-letter.js";
import { SluiceError } from "../contracts/errors.js";
import type { Notification } from "../contracts/ports/channel.js";
import type { Checkpoints } from "../contracts/ports/checkpoint.js";
import type { Log } from "../contracts/ports/log.js";
import { TOPICS } from "../contracts/topics.js";
import { type NotifierConfig, notifierSchema } from "../notifier/config.js";
import { type Notifier, startNotifier } from "../notifier/notifier.js";
import { systemClock } from "../runtime/clock.js";
import type { Config } from "../runtime/config/schema.js";
import type { Logger } from "../runtime/logger.js";
import type { Registry } from "../runtime/metrics.js";

/** Undefined when nobody is to be told. @throws SluiceError CONFIG_INVALID with every problem and its path */
export function notifierConfig(config: Config): NotifierConfig | undefined {
  if (config.notifications === null) return undefined;
  const parsed = notifierSchema.safeParse(config.notifications);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    ({ path, message }) => `notifications.${path.join(".")}: ${message}`,
  );
  throw new SluiceError("CONFIG_INVALID", problems.join("\n"));
}

export function startNotifications(
  config: NotifierConfig,
  parts: { log: Log; checkpoints: Checkpoints; logger: Logger; registry: Registry },
): Notifier {
  return startNotifier({
    ...parts,
    config,
    clock: systemClock,
    channels: notifyChannels({ clock: systemClock, env: process.env }),
    onDead: (notification, reason) => bury(parts.log, notification, reason),
  });
}

/** A notification that was given up is a dead letter: what was to be said, and why it could not be. */
async function bury(log: Log, notification: Notification, reason: string): Promise<void> {
  const payload = Buffer.from(JSON.stringify(notification));
  const letter: DeadLetterRecord = {
    ...{
      v: 1,
      id: notification.id,
      reason: "notification_failed",
      detail: `${notification.channel}: ${reason}`,
    },
    ...{ topic: "notifications", ingestTs: notification.createdAt },
    ...{ payload: payload.toString("base64"), payloadBytes: payload.length },
  };
  const value = Buffer.from(JSON.stringify(letter));
  await log.append(TOPICS.invalid, [{ key: notification.id, value, timestamp: systemClock.now() }]);
}
