/**
 * A process of its own that notifies by webhook from an embedded log, until it is killed; the tests start it.
 *
 *     child.ts <dir> <url>    "started"
 */
import { notifierSchema } from "../../../notifier/config.js";
import { startNotifier } from "../../../notifier/notifier.js";
import { systemClock as clock } from "../../../runtime/clock.js";
import { createLogger } from "../../../runtime/logger.js";
import { createRegistry } from "../../../runtime/metrics.js";
import { openEmbeddedLog } from "../../log/embedded/index.js";
import { openEmbeddedState } from "../../store/embedded/index.js";
import { notifyChannels } from "../index.js";

const [dir, url] = process.argv.slice(2) as [string, string];
const logger = createLogger("error");
const registry = createRegistry();
const log = await openEmbeddedLog({ dir: `${dir}/log`, clock, logger, registry });
const { checkpoints } = openEmbeddedState({ dir: `${dir}/state`, logger });
startNotifier({
  ...{ log, checkpoints, clock, logger, registry },
  config: notifierSchema.parse({
    receivers: [{ name: "ops", channels: [{ type: "webhook", url }] }],
    route: { receiver: "ops", group_by: ["device"], group_wait: 0 },
  }),
  channels: notifyChannels({ clock, env: process.env }),
  onDead: (notification, reason) => logger.error({ notification: notification.id, reason }, "dead"),
});
process.stdout.write("started\n");
