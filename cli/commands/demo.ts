/**
 * `sluice demo`: everything at once to look at. A fleet publishes, rollups and alerts appear, an anomaly is injected,
 * and at the end the ledger gives its verdict. With `--kafka` on a real Kafka, InfluxDB and QuestDB.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import type { Alert } from "../../contracts/alert.js";
import { SluiceError } from "../../contracts/errors.js";
import { takeBaseline } from "../../device-sim/baseline.js";
import { runFleet } from "../../device-sim/fleet.js";
import { HttpStore } from "../../device-sim/http-store.js";
import { renderProgress, renderReport } from "../../device-sim/report.js";
import { verifyLedger } from "../../device-sim/verify.js";
import { systemClock } from "../../runtime/clock.js";
import { loadConfig } from "../../runtime/config/load.js";
import type { Config } from "../../runtime/config/schema.js";
import { createLogger, type Logger } from "../../runtime/logger.js";
import { type App, startApp } from "../app.js";
import { compareStores } from "../compare-stores.js";
import { Progress, printLine } from "../output.js";
import { openLog } from "../ports.js";
import { type Server, startServer } from "../servers.js";
import { stopSignal } from "./serve.js";

interface DemoOptions {
  kafka?: boolean;
  devices: string;
  rate: string;
  duration: string;
  mqttPort: string;
  httpPort: string;
}

export function demoCommand(program: Command): void {
  program
    .command("demo")
    .description(
      "show it working: a simulated fleet, rollups, an anomaly, an alert, and a verdict (about a minute)",
    )
    .option(
      "--kafka",
      "on a real Kafka, InfluxDB and QuestDB, started for the demo (needs Java, Maven, Go and cargo)",
    )
    .option("--devices <n>", "simulated devices", "20")
    .option("--rate <r>", "readings per second of each device", "5")
    .option("--duration <s>", "seconds to send", "60")
    .option("--mqtt-port <n>", "0 takes a free one", "1883")
    .option("--http-port <n>", "0 takes a free one", "8080")
    .action((options: DemoOptions) => demo(options));
}

async function demo(options: DemoOptions): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), "sluice-demo-"));
  const servers: Server[] = [];
  try {
    const settings = options.kafka ? await realServers(servers) : [];
    const config = configFor(options, dataDir, settings);
    await show(options, config, servers);
  } finally {
    for (const server of servers.reverse()) await server.down();
    await rm(dataDir, { recursive: true, force: true });
  }
}

type Setting = readonly [path: string, value: unknown];

async function realServers(servers: Server[]): Promise<Setting[]> {
  for (const name of ["kafka", "influxdb", "questdb"] as const) {
    printLine(`starting ${name} ...`);
    servers.push(await startServer(name));
  }
  const [kafka, influxdb] = servers.map((server) => server.info) as [Server["info"], Server["info"]];
  return [
    ["log", "kafka"],
    ["kafka.brokers", kafka.brokers],
    ["store", "influx"],
    ...(["url", "token", "org", "bucket"] as const).map((key) => [`influx.${key}`, influxdb[key]] as const),
  ];
}

function configFor(options: DemoOptions, dataDir: string, settings: readonly Setting[]): Config {
  const all: Setting[] = [
    ["dataDir", dataDir],
    ["mqtt.port", Number(options.mqttPort)],
    ["http.port", Number(options.httpPort)],
    ...settings,
  ];
  const flags = all.map(([path, value]) => ({ path, value, source: "demo" }));
  return loadConfig({ file: undefined, env: {}, flags });
}

async function show(options: DemoOptions, config: Config, servers: readonly Server[]): Promise<void> {
  const logger = createLogger("warn");
  const stop = stopSignal();
  const app = await startApp(config, { gateway: true, processor: true }, logger, stop);
  try {
    const page = `http://127.0.0.1:${app.httpPort}`;
    printLine(`live page   ${page}/`);
    printLine(
      `MQTT        mqtt://127.0.0.1:${app.mqttPort}   (mosquitto_sub -p ${app.mqttPort} -t 'alerts/#')`,
    );
    if (options.kafka) printServers(servers);
    await run(options, config, app, page, servers, logger, stop);
  } finally {
    await app.close();
  }
}

function printServers(servers: readonly Server[]): void {
  const [kafka, influxdb, questdb] = servers.map((server) => server.info);
  printLine(`Kafka       ${kafka?.brokers}   (kcat -b ${kafka?.brokers} -t telemetry.readings)`);
  printLine(
    `InfluxDB    ${influxdb?.url}   org ${influxdb?.org}, bucket ${influxdb?.bucket}, token ${influxdb?.token}`,
  );
  printLine(`QuestDB     ${questdb?.url}`);
}

async function run(
  options: DemoOptions,
  config: Config,
  app: App,
  page: string,
  servers: readonly Server[],
  logger: Logger,
  stop: AbortSignal,
): Promise<void> {
  const progress = new Progress();
  const unsubscribe = app.live.subscribe((event) => {
    if (event.type !== "alert") return;
    progress.clear();
    printLine(describe(event.alert));
  });
  const store = new HttpStore(page);
  const stats = () => store.stats();
  const log = await openLog({ config, logger });
  try {
    const baseline = await takeBaseline({ log, stats });
    const fleet = await runFleet({
      url: `mqtt://127.0.0.1:${app.mqttPort}`,
      devices: Number(options.devices),
      ratePerDevice: Number(options.rate),
      durationMs: Number(options.duration) * 1_000,
      prefix: "demo-",
      anomalies: 3,
      anomalyKinds: ["spike", "level_shift"],
      faults: { duplicates: 0.02, reordered: 0.02, malformed: 0.01 },
      ...{ clock: systemClock, logger, baseline, signal: stop },
      onProgress: (state) => progress.show(renderProgress(state)),
    });
    progress.show("verifying");
    const report = await verifyLedger({ ledger: fleet.ledger, log, store, stats, clock: systemClock });
    progress.clear();
    printLine(renderReport(report));
    if (!report.ok)
      throw new SluiceError("LEDGER_MISMATCH", "what the fleet sent and what Sluice holds differ");
    if (options.kafka) await compareStores(config, log, servers[2]!, logger);
  } finally {
    unsubscribe();
    await log.close();
  }
}

function describe(alert: Alert): string {
  const time = new Date(alert.updatedAt).toISOString().slice(11, 19);
  return `${time}  ${alert.state === "firing" ? "ALERT   " : "resolved"}  ${alert.summary}`;
}
