/**
 * Lints what cannot be run in a test: unit, compose file, chart. A linter that is missing is a skip that says so.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { parse, parseAllDocuments } from "yaml";
import { loadConfig } from "../runtime/config/load.js";
import { missing, needs, ROOT } from "../tests/e2e/harness.js";

const run = promisify(execFile);
const DEPLOY = join(ROOT, "deploy");

test("the systemd unit is valid, and confined", async (t) => {
  if (missing("systemd-analyze").length > 0) return t.skip("NOT TESTED: missing systemd-analyze");
  const dir = mkdtempSync(join(tmpdir(), "sluice-unit-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const unit = join(dir, "sluice.service");
  // The linter looks for the program: node may be elsewhere here.
  const text = readFileSync(join(DEPLOY, "systemd", "sluice.service"), "utf8");
  writeFileSync(unit, text.replace("/usr/bin/node", process.execPath));
  const { stderr } = await run("systemd-analyze", ["verify", unit]);
  assert.doesNotMatch(stderr, /sluice\.service/);
  // The scale goes from 0 to 10, here in tenths: above the threshold it exits with 1.
  await run("systemd-analyze", ["security", "--offline=yes", "--threshold=20", unit]);
});

test("Alertmanager takes its configuration", async (t) => {
  if (!needs(t, "amtool")) return;
  await run("amtool", ["check-config", join(DEPLOY, "alertmanager", "alertmanager.yml")]);
});

test("the compose file names only what exists, and its variables are settings", () => {
  interface Service {
    volumes?: string[];
    depends_on?: string[] | Record<string, unknown>;
    environment?: Record<string, string>;
  }
  const compose = parse(readFileSync(join(DEPLOY, "docker-compose.yml"), "utf8"), { merge: true }) as {
    services: Record<string, Service>;
    volumes: Record<string, null>;
  };
  for (const [name, { volumes = [], depends_on = [], environment = {} }] of Object.entries(
    compose.services,
  )) {
    for (const volume of volumes) {
      const source = volume.split(":")[0]!;
      const known = source.startsWith(".") ? existsSync(join(DEPLOY, source)) : source in compose.volumes;
      assert.ok(known, `${name}: ${source}`);
    }
    for (const other of Array.isArray(depends_on) ? depends_on : Object.keys(depends_on))
      assert.ok(other in compose.services, `${name}: ${other}`);
    if (name.startsWith("sluice")) assert.equal(loadConfig({ env: environment, flags: [] }).log, "kafka");
  }
});

interface Manifest {
  kind: string;
  metadata: { name: string };
  data?: Record<string, string>;
  spec: {
    selector: { matchLabels: Record<string, string> };
    template: { metadata: { labels: Record<string, string> } };
  };
}

test("the chart passes helm lint, and what it renders starts Sluice", async (t) => {
  // Not a Debian package: go install helm.sh/helm/v3/cmd/helm@v3.19.0
  if (missing("helm").length > 0) {
    console.error("NOT TESTED: deploy/helm: missing helm");
    return t.skip("NOT TESTED: missing helm");
  }
  const chart = join(DEPLOY, "helm", "sluice");
  const values = ["--kube-version", "1.30.0", "-f", join(chart, "ci", "lint-values.yaml")];
  await run("helm", ["lint", "--strict", chart, ...values]);
  const { stdout } = await run("helm", ["template", "sluice", chart, ...values]);
  const manifests = parseAllDocuments(stdout).flatMap(
    (document) => (document.toJS() as Manifest | null) ?? [],
  );
  const kinds = manifests.map(({ kind }) => kind).sort();
  assert.deepEqual(kinds, [
    "ConfigMap",
    "Deployment",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "PodDisruptionBudget",
    "Service",
    "Service",
    "ServiceMonitor",
    "StatefulSet",
  ]);
  for (const { kind, spec } of manifests) {
    if (kind !== "Deployment" && kind !== "StatefulSet") continue;
    const { labels } = spec.template.metadata;
    for (const [name, value] of Object.entries(spec.selector.matchLabels)) assert.equal(labels[name], value);
  }
  const dir = mkdtempSync(join(tmpdir(), "sluice-chart-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, "sluice.yaml");
  writeFileSync(file, manifests.find(({ kind }) => kind === "ConfigMap")!.data!["sluice.yaml"]!);
  assert.equal(loadConfig({ file, env: { SLUICE_HTTP_HOST: "0.0.0.0" }, flags: [] }).store, "influx");
  await assert.rejects(run("helm", ["template", chart, "--kube-version", "1.30.0"]), /config\.security/);
});
