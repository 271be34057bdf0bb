/**
 * The configuration as a person reads it: YAML that `--config` takes, with the source of each value beside it.
 *
 * Guarantee: shown as `***` are values whose names say that they are secret, values of headers, passwords in URLs, and
 * of the URLs of notifications all but the host: for some channels the URL is the secret.
 */
import { Document, isCollection, isMap, isScalar, type Node } from "yaml";
import type { ExplainedConfig } from "../runtime/config/load.js";

const MASK = "***";
/** `passwordFile` is no secret: it only says where one is. */
const SECRET_NAME =
  /(token|pass|password|passphrase|secret|credential|authorization|(api|private|routing|access|signing)_?key)s?$/i;
const URL_PASSWORD = /^([a-z][a-z0-9+.-]*:\/\/[^/?#@:]*):[^/?#@]*@/i;
const URL_BEHIND_HOST = /^(https?:\/\/[^/?#]+)[/?#].+$/i;

export interface EffectiveSetting {
  /** Dotted path. */
  setting: string;
  /** Durations in milliseconds, sizes in bytes; secrets masked. */
  value: unknown;
  /** A flag, a variable, the name of the file, or `default`. */
  source: string;
}

export function effectiveSettings({ config, sourceOf }: ExplainedConfig): EffectiveSetting[] {
  const leaves = (prefix: string, node: object): EffectiveSetting[] =>
    Object.entries(node).flatMap(([key, value]: [string, unknown]) => {
      const setting = prefix + key;
      if (isRecord(value) && Object.keys(value).length > 0) return leaves(`${setting}.`, value);
      const inNotifications = prefix.startsWith("notifications.");
      return [{ setting, value: masked(key, value, inNotifications), source: sourceOf(setting) }];
    });
  return leaves("", config);
}

/** A configuration file that says the same, each value with its source as a comment. */
export function effectiveYaml(explained: ExplainedConfig): string {
  const document = new Document(masked("", explained.config));
  annotate(document.contents as Node, "", explained.sourceOf);
  return document.toString({ lineWidth: 0 });
}

function annotate(node: Node, prefix: string, sourceOf: ExplainedConfig["sourceOf"]): void {
  if (!isMap(node)) return;
  for (const { key, value } of node.items) {
    const path = prefix + String(isScalar(key) ? key.value : key);
    if (isMap(value) && value.items.length > 0) annotate(value, `${path}.`, sourceOf);
    else if (isCollection(value) && value.items.some((item) => isCollection(item)))
      value.commentBefore = ` ${sourceOf(path)}`;
    else if (isCollection(value) || isScalar(value)) {
      if (isCollection(value)) value.flow = true;
      value.comment = ` ${sourceOf(path)}`;
    }
  }
}

function masked(key: string, value: unknown, inNotifications = false): unknown {
  if (Array.isArray(value)) return value.map((item) => masked(key, item, inNotifications));
  if (isRecord(value)) {
    const inner = inNotifications || key === "notifications";
    // The names of headers say nothing of what is in them.
    const nameOf = (name: string) => (key === "headers" ? "secret" : name);
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, masked(nameOf(name), item, inner)]),
    );
  }
  if (typeof value !== "string" || value === "") return value;
  if (SECRET_NAME.test(key)) return MASK;
  const shown = value.replace(URL_PASSWORD, `$1:${MASK}@`);
  return inNotifications ? shown.replace(URL_BEHIND_HOST, `$1/${MASK}`) : shown;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
