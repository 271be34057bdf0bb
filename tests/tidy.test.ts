/**
 * Lints the tree for what the type checker and biome cannot know: who may import whom, where libraries may be used,
 * no wall clock in operators, no file that outgrew one concern.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import { repoRoot as root } from "../testkit/repo-root.js";

const MAX_LINES = 400;

/** Which folders a folder may import from, besides itself. Tests are free. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  contracts: [],
  runtime: ["contracts"],
  adapters: ["contracts", "runtime"],
  gateway: ["contracts", "runtime"],
  processors: ["contracts", "runtime"],
  notifier: ["contracts", "runtime"],
  "device-sim": ["contracts", "runtime"],
  api: ["contracts", "runtime"],
  testkit: ["contracts", "runtime"],
  // The page shares the types of the API it calls.
  dashboard: ["contracts", "api"],
};

/** Libraries that only one place may know, so that they can be replaced there. */
const ONLY_IN: Record<string, RegExp> = {
  aedes: /^gateway\/mqtt\//,
  kafkajs: /^adapters\/log\/kafka\//,
  lmdb: /^adapters\/(log|store|checkpoint)\//,
  "@influxdata/influxdb-client": /^adapters\/store\/influx\//,
  mqtt: /^device-sim\//,
  nodemailer: /^adapters\/notify\//,
  fastify: /^api\//,
};

/** Operators: results are a function of the log alone (INV-4). */
const PURE =
  /^(contracts|processors\/(downsample|anomaly|alerting))\/|^processors\/engine\/(device-operator|partition-task|output-topics|replay)\.ts/;
const IMPURE =
  /Date\.now\(|new Date\(\)|Math\.random\(|performance\.now\(|randomUUID|setTimeout|setInterval|process\.hrtime/;

const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((path) => /\.(ts|tsx|mjs)$/.test(path))
  .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
const isTest = (path: string) =>
  /\.test\.ts$|^tests\/|^bench\/|^scripts\/|\/(testing|test-support|harness|raw-client|test-log)(\.ts|\/)/.test(
    path,
  );
const sources = files.filter(({ path }) => /\.tsx?$/.test(path) && !isTest(path));

function importsOf({ path, text }: { path: string; text: string }): string[] {
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map((match) => match[1]!);
  return specifiers.map((specifier) =>
    specifier.startsWith(".") ? normalize(join(dirname(path), specifier)) : specifier,
  );
}

function report(problems: readonly string[]): void {
  assert.deepEqual(problems, [], `\n${problems.join("\n")}\n`);
}

test("folders import only what lies below them", () => {
  report(
    sources.flatMap((file) => {
      const folder = file.path.split("/")[0]!;
      const allowed = MAY_IMPORT[folder];
      if (!allowed) return [];
      const ours = importsOf(file).filter(
        (target) => /^[a-z-]+\//.test(target) && target.endsWith(".js") && !target.includes("node_modules"),
      );
      return ours
        .filter(
          (target) =>
            target.split("/")[0] !== folder &&
            !allowed.includes(target.split("/")[0]!) &&
            Object.hasOwn(MAY_IMPORT, target.split("/")[0]!),
        )
        .map((target) => `${file.path} imports ${target}`);
    }),
  );
});

test("a library is known in one place only", () => {
  report(
    sources.flatMap((file) =>
      importsOf(file)
        .filter((name) => ONLY_IN[name] && !ONLY_IN[name].test(file.path))
        .map((name) => `${file.path} imports ${name}`),
    ),
  );
});

test("operators read no clock and no random source (INV-4)", () => {
  report(
    sources
      .filter(({ path, text }) => PURE.test(path) && IMPURE.test(text))
      .map(({ path, text }) => `${path}: ${IMPURE.exec(text)![0]}`),
  );
});

test("no file outgrows one concern", () => {
  report(
    files
      .map(({ path, text }) => ({ path, lines: text.split("\n").length }))
      .filter(({ lines }) => lines > MAX_LINES)
      .map(({ path, lines }) => `${path}: ${lines} lines`),
  );
});

test("every module opens with what it owns", () => {
  report(sources.filter(({ text }) => !/^(#!.*\n)?\/\*\*/.test(text)).map(({ path }) => path));
});

test("nothing is skipped, focused or left to do", () => {
  const leftover = new RegExp(
    ["\\.(only|todo)\\(", "\\bTO" + "DO\\b", "\\bFIX" + "ME\\b", "\\bHA" + "CK\\b"].join("|"),
  );
  report(
    files
      .filter(({ text }) => leftover.test(text))
      .map(({ path, text }) => `${path}: ${leftover.exec(text)![0]}`),
  );
});
