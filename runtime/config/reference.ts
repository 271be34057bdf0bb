/**
 * docs/configuration.md, made from the schema so that it cannot drift.
 */
import { SETTINGS, type Setting } from "./settings.js";

const HEAD = `# Configuration

<!-- Made from runtime/config/schema.ts by \`npm run docs:config\`: do not edit. -->

Settings are read from a YAML file (\`--config FILE\` or \`SLUICE_CONFIG\`; \`sluice.yaml\` where there is one), overridden by
environment variables, overridden by flags. A dotted name stands for nesting: \`mqtt.port\` is \`mqtt: { port: 1883 }\`.
Unknown names are refused with the nearest known one. \`sluice config check\` checks everything without starting.

Durations are written \`500ms\`, \`30s\`, \`10m\`, \`2h\`, \`14d\`, \`2 weeks\`, \`2 months\` (30 days each) or \`2 years\`; sizes \`64KiB\`,
\`64MiB\` or \`2GiB\`. Lists in variables and flags are separated by commas.

| setting | default | meaning | variable and flag |
|---|---|---|---|
`;

const TAIL = `
\`alerts.rules\` is a list of alert rules and has no variable; see [alert rules](alert-rules.md).
\`notifications\` says who is told of alerts, and has none either; see [notifications](notifications.md).

By default everything binds to loopback. Binding elsewhere is refused unless \`security.allowAnonymous\` says by name that
clients without credentials are welcome.
`;

export function configurationReference(): string {
  return `${HEAD}${SETTINGS.map(row).join("")}${TAIL}`;
}

function row({ path, defaultValue, description, env, flag }: Setting): string {
  return `| \`${path}\` | ${shown(path, defaultValue)} | ${description} | \`${env}\`, \`--${flag}\` |\n`;
}

const DURATION = /(time|[tT]imeout|Skew|Lateness|Interval)$/;
const SIZE = /(bytes|Bytes|maxPayload)$/;
const UNITS: Record<"ms" | "bytes", readonly [string, number][]> = {
  ms: [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1_000],
  ],
  bytes: [
    ["GiB", 1024 ** 3],
    ["MiB", 1024 ** 2],
    ["KiB", 1024],
  ],
};

/** Durations and sizes as a person would write them. */
function shown(path: string, value: unknown): string {
  if (value === null) return "`null`";
  if (value === "") return "empty";
  const units = DURATION.test(path) ? UNITS.ms : SIZE.test(path) ? UNITS.bytes : [];
  const [unit, size] =
    units.find(([, size]) => typeof value === "number" && value >= size && value % size === 0) ?? [];
  if (unit !== undefined) return `\`${(value as number) / size!}${unit}\``;
  return `\`${Array.isArray(value) ? value.join(",") : String(value)}\``;
}
