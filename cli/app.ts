/**
 * The composition root: opens the ports that the configuration names and starts the parts around them.
 *
 * Guarantee: `close` stops in reverse order of the path of a reading (devices first, log last), so that everything
 * acked is durable and everything processed is committed.
 */
import { join } from "node:path";
import { LiveFeed } from "../api/live-feed.js";
import { startApi } from "../api/server.js";
import { hasCode, SluiceError } from "../contracts/errors.js";
import type { Log } from "../contracts/ports/log.js";
import { type Gateway, startGateway } from "../gateway/main.js";
import type { OperatorOptions } from "../processors/engine/device-operator.js";
import type { Committed } from "../processors/engine/partition-task.js";
import { Processor } from "../processors/engine/processor.js";
import { systemClock } from "../runtime/clock.js";
import type { Config } from "../runtime/config/schema.js";
import { Lifecycle } from "../runtime/lifecycle.js";
import type { Logger } from "../runtime/logger.js";
import { createRegistry } from "../runtime/metrics.js";
import { retry } from "../runtime/retry.js";
import { gatewayLimits } from "./gateway-limits.js";
import { notifierConfig, startNotifications } from "./notifications.js";
import { packageRoot } from "./package-root.js";
import { openLog, openOrRebuildState, resolutionsOf, topicSpecs } from "./ports.js";
import { readiness } from "./readiness.js";
import { rulesOf, watchRulesFile } from "./rules.js";
import { mergedStats } from "./stats.js";

/** Which parts run in this process. The HTTP API always does. */
export interface Parts {
  gateway: boolean;
  processor: boolean;
}

/** What has been started so far. */
interface Running {
  starting: boolean;
  gateway?: Gateway;
  processor?: Processor;
}

export interface App {
  mqttPort: number | undefined;
  httpPort: number;
  live: LiveFeed;
  close(): Promise<void>;
}

/** @throws SluiceError CONFIG_INVALID, LISTEN_FAILED, STATE_CORRUPT, STATE_LOCKED, LOG_CORRUPT, ABORTED */
export async function startApp(
  config: Config,
  parts: Parts,
  logger: Logger,
  signal?: AbortSignal,
): Promise<App> {
  const lifecycle = new Lifecycle(logger);
  try {
    return await start(config, parts, logger, lifecycle, signal);
  } catch (error) {
    await lifecycle.close();
    throw error;
  }
}

async function start(
  config: Config,
  parts: Parts,
  logger: Logger,
  lifecycle: Lifecycle,
  signal: AbortSignal | undefined,
): Promise<App> {
  const operator = operatorOptions(config);
  const notify = notifierConfig(config);
  const registry = createRegistry();
  const log = lifecycle.add("log", await openLog({ config, logger, registry }));
  const state = lifecycle.add("state", openOrRebuildState({ config, logger, registry }, log));
  const live = new LiveFeed();
  const running: Running = { starting: true };
  const stats = lifecycle.add("stats", mergedStats(running, systemClock.now()));
  // First, so that /healthz and /readyz answer while the log is waited for.
  const api = await startApi({
    ...config.http,
    ...{ store: state.store, log, registry, logger, clock: systemClock },
    resolutions: resolutionsOf(config),
    pageDir: join(packageRoot, "dist", "dashboard"),
    sources: {
      stats: stats.read,
      ready: readiness({ config, log, store: state.store, running, stats: stats.read, registry }),
      live,
      mqttPort: () => running.gateway?.port,
    },
  });
  lifecycle.add("api", api);

  await ensureTopics(config, log, logger, signal);
  if (parts.processor) {
    const { checkpoints } = state;
    running.processor = lifecycle.add(
      "processor",
      new Processor({
        ...{ log, checkpoints, clock: systemClock, logger, registry, operator },
        group: config.processor.group,
        commitIntervalMs: config.processor.commitInterval,
        maxRecordsPerCommit: config.processor.maxRecordsPerCommit,
        maxDevicesInMemory: config.processor.maxDevicesInMemory,
        onCommit: (committed) => publishLive(live, committed),
      }),
    );
    await running.processor.start().catch((error: unknown) => {
      if (!hasCode(error, "STATE_LOCKED")) throw error;
      const message = `another sluice works on ${config.dataDir}: ${error.message}`;
      throw new SluiceError("STATE_LOCKED", message, { cause: error });
    });
    lifecycle.add("rules", watchRulesFile(config, running.processor, systemClock, logger));
    if (notify) lifecycle.add("notifier", startNotifications(notify, { log, checkpoints, logger, registry }));
  }
  if (parts.gateway) {
    const mqtt = { log, clock: systemClock, logger, registry, mqtt: config.mqtt };
    running.gateway = lifecycle.add(
      "gateway",
      await startGateway({ ...mqtt, limits: gatewayLimits(config), publishAlerts: config.alerts.publish }),
    );
  }
  running.starting = false;
  const mqttPort = running.gateway?.port;
  logger.info({ mqttPort, httpPort: api.port, log: config.log, store: config.store }, "sluice is up");
  return { mqttPort, httpPort: api.port, live, close: () => lifecycle.close() };
}

function publishLive(live: LiveFeed, { rollups, alerts, devices }: Committed): void {
  if (rollups.length > 0) live.publish({ type: "rollups", rollups });
  for (const alert of alerts) live.publish({ type: "alert", alert });
  if (devices.length > 0) live.publish({ type: "devices", devices });
}

/** What every run of the operators needs: live, replay and reconcile alike. @throws SluiceError CONFIG_INVALID */
export function operatorOptions(config: Config): OperatorOptions {
  const allowedLatenessMs = config.processor.allowedLateness;
  return { resolutions: resolutionsOf(config), allowedLatenessMs, rules: rulesOf(config) };
}

/** Waits for a log that is not there yet, as it may be when everything starts at once. */
async function ensureTopics(
  config: Config,
  log: Log,
  logger: Logger,
  signal: AbortSignal | undefined,
): Promise<void> {
  await retry(() => log.ensureTopics(topicSpecs(config)), {
    clock: systemClock,
    ...(signal && { signal }),
    retryable: (error) => hasCode(error, "LOG_UNAVAILABLE"),
    onRetry: (error, attempt, delayMs) =>
      logger.warn({ err: error, attempt, delayMs }, "waiting for the log"),
  });
}
