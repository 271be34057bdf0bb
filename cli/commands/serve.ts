/**
 * `sluice up`, `sluice gateway`, `sluice processor`: run until SIGTERM or SIGINT, then close cleanly.
 */
import type { Command } from "commander";
import { createLogger } from "../../runtime/logger.js";
import { type Parts, startApp } from "../app.js";
import { configOf, withSettings } from "../settings.js";

export function serveCommands(program: Command): void {
  const add = (name: string, description: string, parts: Parts) =>
    withSettings(program.command(name).description(description)).action((_options, command: Command) =>
      serve(command, parts),
    );
  add("up", "run everything in one process: MQTT, log, processors, store, HTTP", {
    gateway: true,
    processor: true,
  });
  add("gateway", "run MQTT ingestion and HTTP", { gateway: true, processor: false });
  add("processor", "run stream processing and HTTP", { gateway: false, processor: true });
}

async function serve(command: Command, parts: Parts): Promise<void> {
  const config = configOf(command);
  const logger = createLogger(config.logLevel);
  const stop = stopSignal();
  const app = await startApp(config, parts, logger, stop);
  if (app.mqttPort !== undefined) process.stdout.write(`MQTT  mqtt://${config.mqtt.host}:${app.mqttPort}\n`);
  process.stdout.write(`HTTP  http://${config.http.host}:${app.httpPort}/\n`);
  if (!stop.aborted) await new Promise((resolve) => stop.addEventListener("abort", resolve, { once: true }));
  logger.info({ signal: stop.reason }, "closing");
  await app.close();
  logger.info("closed");
}

/** Aborts at the first SIGTERM or SIGINT; a second one ends the process at once. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(1);
      stop.abort(name);
    });
  }
  return stop.signal;
}
