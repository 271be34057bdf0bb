import assert from "node:assert/strict";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "yaml";
import { Workspace } from "../../tests/e2e/harness.js";
import { configJsonSchema } from "./config-print.js";

interface Printed {
  settings: { setting: string; value: unknown; source: string }[];
}

const FILE = `
mqtt: { port: 2883 }
http: { port: 9090 }
kafka: { brokers: ["k1:9092", "k2:9092"] }
influx: { url: "http://reader:hunter2@influx:8086", token: from-the-file }
alerts:
  rules:
    - { name: too-hot, metric: temperature, detector: range, params: { above: 90 } }
`;
const ENV = { SLUICE_HTTP_PORT: "9191", SLUICE_INFLUX_TOKEN: "from-the-environment" };

test("config print names the source of each value and masks secrets", async (t) => {
  const space = Workspace.of(t);
  space.configure(FILE);
  const { code, stdout, stderr } = await space.command(
    ["config", "print", "--json", "--topics-partitions", "7"],
    ENV,
  );
  assert.equal(code, 0, stderr);
  assert.doesNotMatch(stdout, /from-the-|hunter2/);
  const settings = new Map(
    (JSON.parse(stdout) as Printed).settings.map(({ setting, ...rest }) => [setting, rest]),
  );
  assert.deepEqual(settings.get("mqtt.port"), { value: 2883, source: "sluice.yaml" });
  assert.deepEqual(settings.get("mqtt.host"), { value: "127.0.0.1", source: "default" });
  assert.deepEqual(settings.get("http.port"), { value: 9191, source: "SLUICE_HTTP_PORT" });
  assert.deepEqual(settings.get("topics.partitions"), { value: 7, source: "--topics-partitions" });
  assert.deepEqual(settings.get("influx.token"), { value: "***", source: "SLUICE_INFLUX_TOKEN" });
  assert.deepEqual(settings.get("influx.url")?.value, "http://reader:***@influx:8086");
  assert.equal(settings.get("alerts.rules")?.source, "sluice.yaml");
});

test("what config print prints is a configuration that says the same", async (t) => {
  const space = Workspace.of(t);
  space.configure(FILE);
  const first = await space.command(["config", "print"]);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /port: 2883 # sluice\.yaml/);
  assert.match(first.stdout, /brokers: \[ k1:9092, k2:9092 \] # sluice\.yaml/);
  space.configure(first.stdout);
  const second = await space.command(["config", "print"]);
  assert.equal(second.code, 0, second.stderr);
  assert.deepEqual(parse(second.stdout), parse(first.stdout));
});

test("config print shows no secret of a notification channel", async (t) => {
  const space = Workspace.of(t);
  space.configure(`
notifications:
  route: { receiver: night }
  receivers:
    - name: night
      channels:
        - { type: slack, url: "https://hooks.example.org/services/T0/hush" }
        - { type: pagerduty, routing_key: hush }
        - { type: webhook, url: "https://example.org/in?key=hush", secret: hush, headers: { x-who: hush } }
        - { type: email, password: hush, to: ops@example.org }
`);
  for (const more of [[], ["--json"]]) {
    const { code, stdout, stderr } = await space.command(["config", "print", ...more]);
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stdout, /hush/);
    for (const shown of ["https://hooks.example.org/***", "ops@example.org"])
      assert.ok(stdout.includes(shown), shown);
  }
});

test("config print refuses a wrong configuration", async (t) => {
  const space = Workspace.of(t);
  space.configure("mqtt: { prot: 1 }");
  const { code, stderr } = await space.command(["config", "print"]);
  assert.equal(code, 1);
  assert.match(stderr, /mqtt\.prot: unknown setting.*port/);
});

test("the JSON Schema takes what the program takes", async (t) => {
  const space = Workspace.of(t);
  const { code, stdout } = await space.command(["config", "schema"]);
  assert.equal(code, 0);
  const schema = JSON.parse(stdout) as object;
  assert.deepEqual(schema, JSON.parse(JSON.stringify(configJsonSchema())));
  const valid = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
  for (const good of [{}, parse(FILE), { processor: { allowedLateness: "10m" } }])
    assert.ok(valid(good), JSON.stringify(valid.errors));
  for (const bad of [{ mqtt: { prot: 1 } }, { mqtt: { port: "1883" } }, { log: "files" }, { nope: 1 }])
    assert.equal(valid(bad), false, JSON.stringify(bad));
});
