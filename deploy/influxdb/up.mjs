/** Starts a real InfluxDB 2 with user, organisation, bucket and token made. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { integerFlag, main, progress } from "../lib/cli.mjs";
import { UsageError } from "../lib/errors.mjs";
import { choosePort } from "../lib/ports.mjs";
import { logFile, startProcess, waitUntilReady } from "../lib/process.mjs";
import { bringUp, printState } from "../lib/server.mjs";
import { influxVersion, installInfluxd } from "./influxd.mjs";

const usage = `usage: deploy/influxdb/up [--dir DIR] [--port N] [--json]
  --dir   keeps the data there; a second start continues with it (default: a temporary folder, removed by down)
  --port  port of the HTTP API (default: a free one)
  --json  prints the content of server.json, token included`;

const options = { dir: { type: "string" }, port: { type: "string" }, json: { type: "boolean" } };
const name = "influxd";
const readyLimitMs = 60_000;

await main({ usage, options }, async (flags, positionals) => {
  if (positionals.length > 0) throw new UsageError(`unexpected argument "${positionals[0]}"`);
  const port = integerFlag(flags.port, "--port", { min: 1, max: 65_535 });
  const program = await installInfluxd();
  const spec = { server: "influxdb", version: influxVersion, dir: flags.dir };
  const state = await bringUp(spec, (dir, previous) => start(program, dir, previous, port));
  printState(state, flags.json, [
    `InfluxDB ${state.version} is up: ${state.url}`,
    `organisation ${state.org}, bucket ${state.bucket}, token ${state.token}`,
    `folder: ${state.dir}`,
    `stop it: deploy/influxdb/down ${state.dir}`,
  ]);
});

/**
 * @param {string} program
 * @param {string} dir
 * @param {Record<string, any> | undefined} previous
 * @param {number | undefined} wantedPort
 */
async function start(program, dir, previous, wantedPort) {
  const port = await choosePort(wantedPort, previous?.port);
  const url = `http://127.0.0.1:${port}`;
  progress(`starting InfluxDB in ${dir}`);
  await startProcess({ dir, name, command: program, args: influxdArgs(dir, port), env: cleanEnvironment() });
  await waitUntilReady({ dir, name, limitMs: readyLimitMs }, async () => (await fetch(`${url}/health`)).ok);
  const access = previous ? pickAccess(previous) : await setUp(url);
  return { port, url, ...access, log: logFile(dir, name) };
}

/** @param {string} dir @param {number} port */
function influxdArgs(dir, port) {
  return [
    `--http-bind-address=127.0.0.1:${port}`,
    `--bolt-path=${join(dir, "influxd.bolt")}`,
    `--sqlite-path=${join(dir, "influxd.sqlite")}`,
    `--engine-path=${join(dir, "engine")}`,
    "--reporting-disabled",
    "--pprof-disabled",
  ];
}

/** Settings of the user's own InfluxDB must not leak into this one. */
function cleanEnvironment() {
  return Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("INFLUXD_")));
}

/** @param {string} url */
async function setUp(url) {
  const login = { username: "sluice", password: randomBytes(16).toString("hex") };
  const target = { org: "sluice", bucket: "telemetry" };
  const token = randomBytes(32).toString("hex");
  const response = await fetch(`${url}/api/v2/setup`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...login, ...target, token, retentionPeriodSeconds: 0 }),
  });
  if (!response.ok) throw new Error(`InfluxDB setup answered ${response.status}: ${await response.text()}`);
  return { ...target, token, ...login };
}

/** @param {Record<string, any>} previous */
function pickAccess({ org, bucket, token, username, password }) {
  return { org, bucket, token, username, password };
}
