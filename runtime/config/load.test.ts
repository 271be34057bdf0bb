import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { hasCode } from "../../contracts/errors.js";
import { repoRoot } from "../../testkit/repo-root.js";
import { type LoadOptions, loadConfig } from "./load.js";
import { configurationReference } from "./reference.js";
import { SETTINGS } from "./settings.js";

const dir = mkdtempSync(join(tmpdir(), "sluice-config-"));
after(() => rmSync(dir, { recursive: true }));

function load(yaml: string, more: Partial<LoadOptions> = {}) {
  const file = join(dir, "sluice.yaml");
  writeFileSync(file, yaml);
  return loadConfig({ file, env: {}, flags: [], ...more });
}

function problemOf(run: () => unknown): string {
  let message = "";
  assert.throws(run, (error) => {
    message = (error as Error).message;
    return hasCode(error, "CONFIG_INVALID");
  });
  return message;
}

test("an empty file gives the defaults", () => {
  const config = load("");
  assert.equal(config.mqtt.port, 1883);
  assert.equal(config.http.host, "127.0.0.1");
  assert.equal(config.processor.allowedLateness, 600_000);
});

test("environment overrides file, flags override environment", () => {
  const env = { SLUICE_MQTT_PORT: "2000", SLUICE_HTTP_PORT: "2001", SLUICE_KAFKA_BROKERS: "a:1, b:2" };
  const flags = [{ path: "http.port", value: 3001, source: "--http-port" }];
  const config = load("mqtt: { port: 1000 }\nhttp: { port: 1001 }", { env, flags });
  assert.deepEqual([config.mqtt.port, config.http.port, config.kafka.brokers], [2000, 3001, ["a:1", "b:2"]]);
});

test("durations and sizes are read in every source", () => {
  const config = load("processor: { allowedLateness: 2m }", {
    env: { SLUICE_INGEST_MAX_CLOCK_SKEW: "90s", SLUICE_INGEST_MAX_PAYLOAD: "1MiB" },
  });
  assert.equal(config.processor.allowedLateness, 120_000);
  assert.equal(config.ingest.maxClockSkew, 90_000);
  assert.equal(config.ingest.maxPayload, 1_048_576);
});

test("an unknown key is named with its path and the nearest known one", () => {
  assert.match(
    problemOf(() => load("mqtt: { prot: 1 }")),
    /mqtt\.prot: unknown setting \(did you mean port\?\)/,
  );
  assert.match(
    problemOf(() => load("", { env: { SLUICE_MQTT_PROT: "1" } })),
    /SLUICE_MQTT_PROT \(did you mean SLUICE_MQTT_PORT\?\)/,
  );
});

test("a bad value is named with its source, and all problems come at once", () => {
  const message = problemOf(() => load("http: { port: 99999 }", { env: { SLUICE_MQTT_PORT: "many" } }));
  assert.match(message, /SLUICE_MQTT_PORT: mqtt\.port: /);
  assert.match(message, /sluice\.yaml: http\.port: /);
});

test("windows must divide each other", () => {
  assert.match(
    problemOf(() => load("processor: { resolutions: [10s, 15s] }")),
    /multiple of 10s/,
  );
});

test("listening beyond loopback needs anonymous access asked for by name", () => {
  assert.match(
    problemOf(() => load("mqtt: { host: 0.0.0.0 }")),
    /mqtt\.host: 0\.0\.0\.0 can be reached/,
  );
  assert.equal(load("mqtt: { host: 0.0.0.0 }\nsecurity: { allowAnonymous: true }").mqtt.host, "0.0.0.0");
});

test("a file that is no mapping or not YAML is refused", () => {
  assert.match(
    problemOf(() => load("- 1")),
    /must hold settings by name/,
  );
  assert.match(
    problemOf(() => load("a: [")),
    /sluice\.yaml/,
  );
});

test("docs/configuration.md is what the schema says (npm run docs:config writes it)", () => {
  const file = join(repoRoot, "docs", "configuration.md");
  assert.equal(readFileSync(file, "utf8"), configurationReference());
});

test("every setting has a variable and a flag of its own", () => {
  assert.equal(new Set(SETTINGS.map((setting) => setting.env)).size, SETTINGS.length);
  for (const { path, description } of SETTINGS)
    assert.notEqual(description, "", `${path} has no description`);
  assert.ok(SETTINGS.some((setting) => setting.env === "SLUICE_DATA_DIR" && setting.flag === "data-dir"));
});
