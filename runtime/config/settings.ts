/**
 * The environment variable and the flag of every setting, derived from the schema so that none can be forgotten:
 * `mqtt.port` is `SLUICE_MQTT_PORT` and `--mqtt-port`, `ingest.maxClockSkew` is `SLUICE_INGEST_MAX_CLOCK_SKEW`.
 */
import { z } from "zod";
import { configSchema } from "./schema.js";

export interface Setting {
  /** Dotted path in the file. */
  path: string;
  env: string;
  /** Without the dashes. */
  flag: string;
  /** Default as the program holds it (durations in ms, sizes in bytes). */
  defaultValue: unknown;
  description: string;
  /** Turns the text of a variable or flag into what the schema takes. */
  parse(text: string): unknown;
}

/** Too much for a variable or a flag. */
const FILE_ONLY: ReadonlySet<string> = new Set(["alerts.rules", "notifications"]);

export const SETTINGS: readonly Setting[] = leaves(
  "",
  configSchema.parse({}),
  z.toJSONSchema(configSchema, { io: "input" }) as Described,
);

/** The part of a JSON Schema that is read here. */
interface Described {
  description?: string;
  properties?: Record<string, Described>;
}

function leaves(prefix: string, node: object, schema: Described): Setting[] {
  return Object.entries(node).flatMap(([key, value]: [string, unknown]) => {
    const path = prefix === "" ? key : `${prefix}.${key}`;
    const described = schema.properties?.[key] ?? {};
    if (FILE_ONLY.has(path)) return [];
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return leaves(path, value, described);
    const words = path.split(".").flatMap((part) => part.split(/(?=[A-Z])/));
    return [
      {
        path,
        env: `SLUICE_${words.join("_").toUpperCase()}`,
        flag: words.join("-").toLowerCase(),
        defaultValue: value,
        description: described.description ?? "",
        parse: parserFor(value),
      },
    ];
  });
}

function parserFor(defaultValue: unknown): (text: string) => unknown {
  if (Array.isArray(defaultValue)) return (text) => text.split(",").map((part) => part.trim());
  if (typeof defaultValue === "string") return (text) => text;
  if (typeof defaultValue === "boolean")
    return (text) => ({ true: true, "1": true, false: false, "0": false })[text] ?? text;
  return (text) => (/^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text === "null" ? null : text);
}
