/** The influxd program: built from its published Go module once, without the web interface, and cached. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cached } from "../lib/cache.mjs";
import { progress } from "../lib/cli.mjs";
import { DeployError } from "../lib/errors.mjs";
import { capture, hasTool, requireTools, runTool } from "../lib/tools.mjs";

export const influxVersion = "2.7.12";
/** Finds the Rust part of InfluxDB (Flux) for the Go compiler and has cargo build it. */
const fluxPkgConfig = "github.com/influxdata/pkg-config@v0.2.14";
const source = fileURLToPath(new URL("./src", import.meta.url));

const tools = {
  go: "https://go.dev/dl, 1.21 or later",
  cargo: "https://rustup.rs, Rust 1.72 or later",
  gcc: "Debian: gcc",
  "pkg-config": "Debian: pkg-config",
};

/** @returns {Promise<string>} path of the program */
export async function installInfluxd() {
  const files = ["go.mod", "go.sum", "tools.go", "rustc-wrapper"];
  const inputs = await Promise.all(files.map((file) => readFile(join(source, file), "utf8")));
  return join(await cached(`influxdb-${influxVersion}`, inputs, build), "influxd");
}

/** @param {string} dir gets the program and nothing else */
async function build(dir) {
  const purpose = `to build InfluxDB ${influxVersion}`;
  await requireTools(tools, purpose);
  await requireGo(purpose);
  const started = performance.now();
  progress(`building InfluxDB ${influxVersion} from source: once, about 4 minutes on two cores`);
  const env = { ...process.env, ...(await rustEnvironment()) };

  progress("[1/2] the tool that builds Flux");
  await runTool("go", ["install", fluxPkgConfig], { cwd: source, env: { ...env, GOBIN: dir } });
  const pkgConfig = join(dir, "pkg-config");

  progress("[2/2] InfluxDB, and with cargo Flux");
  const seconds = () => Math.round((performance.now() - started) / 1000);
  const heartbeat = setInterval(() => progress(`      still compiling, ${seconds()} s`), 30_000);
  try {
    await runTool("go", goBuild(dir), { cwd: source, env: { ...env, PKG_CONFIG: pkgConfig } });
  } finally {
    clearInterval(heartbeat);
  }
  await rm(pkgConfig);
  progress(`InfluxDB is built, ${seconds()} s`);
}

/** @param {string} dir */
const goBuild = (dir) => [
  "build",
  ...["-mod=readonly", "-buildvcs=false", "-tags", "sqlite_foreign_keys,sqlite_json"],
  ...["-ldflags", `-s -w -X main.version=v${influxVersion}`, "-o", join(dir, "influxd")],
  "github.com/influxdata/influxdb/v2/cmd/influxd",
];

/** Flux asks rustup for Rust 1.72; the installed toolchain does as well, without a download. */
async function rustEnvironment() {
  const wrapper = { RUSTC_WRAPPER: join(source, "rustc-wrapper") };
  if (!(await hasTool("rustup"))) return wrapper;
  const active = await capture("rustup", ["show", "active-toolchain"], { cwd: source });
  return { ...wrapper, RUSTUP_TOOLCHAIN: active.split(" ")[0].trim() };
}

/** From 1.21 on, Go fetches a newer toolchain by itself when a module asks for one. @param {string} purpose */
async function requireGo(purpose) {
  const version = (await capture("go", ["env", "GOVERSION"], { cwd: "/" })).trim();
  const [, major, minor] = /go(\d+)\.(\d+)/.exec(version) ?? [];
  if (Number(major) < 1 || Number(minor) < 21) {
    throw new DeployError(`Go 1.21 or later (https://go.dev/dl) is needed ${purpose}; this is ${version}`);
  }
}
