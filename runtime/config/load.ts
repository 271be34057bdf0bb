/**
 * Reads the configuration from file, environment and flags into one checked {@link Config}.
 */
import { existsSync, readFileSync } from "node:fs";
import { parseDocument } from "yaml";
import type { z } from "zod";
import { SluiceError } from "../../contracts/errors.js";
import { type Config, configSchema } from "./schema.js";
import { SETTINGS } from "./settings.js";
import { suggestion } from "./suggest.js";

/** A nested value by its dotted path, as flags and environment variables give it. */
export interface Override {
  path: string;
  value: unknown;
  /** Where it came from, for error messages: `--mqtt-port` or `SLUICE_MQTT_PORT`. */
  source: string;
}

/** Variables of other parts that share the prefix: `--config` by environment, and the cache of `deploy/`. */
const NOT_SETTINGS = new Set(["SLUICE_CONFIG", "SLUICE_CACHE_DIR"]);

/** The file that is read when none is named. */
export const DEFAULT_FILE = "sluice.yaml";

export interface LoadOptions {
  /** Path given by `--config`; without it {@link DEFAULT_FILE} is read when it exists. */
  file?: string | undefined;
  env: Readonly<Record<string, string | undefined>>;
  flags: readonly Override[];
}

/** @throws SluiceError CONFIG_INVALID with every problem, each naming its path and source */
export function loadConfig(options: LoadOptions): Config {
  return explainConfig(options).config;
}

export interface ExplainedConfig {
  config: Config;
  /** Where the value at a dotted path came from: a flag, a variable, the name of the file, or `default`. */
  sourceOf(path: string): string;
}

/** As {@link loadConfig}, with the source of each value. @throws SluiceError CONFIG_INVALID */
export function explainConfig(options: LoadOptions): ExplainedConfig {
  const file = options.file ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined);
  const inFile = file === undefined ? {} : readFile(file);
  const values = { ...inFile };
  const overrides = [...fromEnvironment(options.env), ...options.flags];
  for (const override of overrides) setPath(values, override.path, override.value);
  const parsed = configSchema.safeParse(values);
  if (!parsed.success) throw invalid(parsed.error, overrides, file);
  checkBinding(parsed.data);
  return {
    config: parsed.data,
    sourceOf: (path) =>
      overrides.findLast((override) => override.path === path)?.source ??
      (file !== undefined && holds(inFile, path) ? file : "default"),
  };
}

function holds(values: unknown, path: string): boolean {
  let node = values;
  for (const key of path.split(".")) {
    if (typeof node !== "object" || node === null || !Object.hasOwn(node, key)) return false;
    node = (node as Record<string, unknown>)[key];
  }
  return true;
}

function fromEnvironment(env: LoadOptions["env"]): Override[] {
  const known = new Map(SETTINGS.map((setting) => [setting.env, setting]));
  return Object.entries(env).flatMap(([name, raw]) => {
    if (!name.startsWith("SLUICE_") || raw === undefined || NOT_SETTINGS.has(name)) return [];
    const setting = known.get(name);
    if (setting) return [{ path: setting.path, value: setting.parse(raw), source: name }];
    const hint = suggestion(name, [...known.keys()]);
    throw new SluiceError("CONFIG_INVALID", `unknown environment variable ${name}${hint}`);
  });
}

function readFile(file: string): Record<string, unknown> {
  let source: string;
  try {
    source = readFileSync(file, "utf8");
  } catch (error) {
    throw new SluiceError("CONFIG_INVALID", `cannot read ${file}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const document = parseDocument(source, { prettyErrors: true });
  if (document.errors.length > 0) {
    throw new SluiceError(
      "CONFIG_INVALID",
      `${file}: ${document.errors.map((error) => error.message).join("\n")}`,
    );
  }
  const values: unknown = document.toJS() ?? {};
  if (typeof values === "object" && values !== null && !Array.isArray(values))
    return values as Record<string, unknown>;
  throw new SluiceError(
    "CONFIG_INVALID",
    `${file}: must hold settings by name, as in "mqtt: { port: 1883 }"`,
  );
}

/** Nested objects on the way are copied, never changed. */
function setPath(target: Record<string, unknown>, path: string, value: unknown): void {
  const keys = path.split(".");
  let node = target;
  for (const key of keys.slice(0, -1)) {
    const next = node[key];
    node = node[key] = typeof next === "object" && next !== null ? { ...next } : {};
  }
  node[keys.at(-1)!] = value;
}

function invalid(error: z.ZodError, overrides: readonly Override[], file: string | undefined): SluiceError {
  const lines = error.issues.flatMap((issue) => {
    const path = issue.path.join(".");
    const source =
      overrides.findLast((override) => override.path === path)?.source ?? file ?? "configuration";
    if (issue.code !== "unrecognized_keys") return [`${source}: ${path}: ${issue.message}`];
    return issue.keys.map((key) => {
      const full = path ? `${path}.${key}` : key;
      return `${source}: ${full}: unknown setting${suggestion(key, knownKeys(issue.path))}`;
    });
  });
  return new SluiceError("CONFIG_INVALID", lines.join("\n"));
}

/** Names of the settings at a path: the defaults hold every one of them. */
function knownKeys(path: readonly PropertyKey[]): string[] {
  let node: unknown = configSchema.parse({});
  for (const key of path) node = (node as Record<PropertyKey, unknown> | null)?.[key];
  return typeof node === "object" && node !== null ? Object.keys(node) : [];
}

const LOOPBACK = /^(127\.|::1$|localhost$)/;

function checkBinding(config: Config): void {
  if (config.security.allowAnonymous) return;
  for (const part of ["mqtt", "http"] as const) {
    const { host } = config[part];
    if (LOOPBACK.test(host)) continue;
    throw new SluiceError(
      "CONFIG_INVALID",
      `${part}.host: ${host} can be reached from outside and no authentication is configured. ` +
        "Bind to 127.0.0.1, or say security.allowAnonymous: true to serve anyone.",
    );
  }
}
