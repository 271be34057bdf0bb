/**
 * Placeholders in annotations: `{{name}}`, filled in when an alert is raised. Nothing else is a template language here.
 */
import type { Alert } from "../../contracts/alert.js";
import { shortNumber } from "./numbers.js";

/** What a template can name. */
export const PLACEHOLDERS = [
  "device",
  "metric",
  "rule",
  "severity",
  "value",
  "score",
  "threshold",
  "expected",
  "lower",
  "upper",
] as const;
export type Placeholder = (typeof PLACEHOLDERS)[number];

const PLACE = /\{\{\s*([^{}]*?)\s*\}\}/g;
/** A rendered text is cut here, so that a record stays small whatever names it is filled with. */
const MAX_RENDERED = 256;

/** What a template says that nobody can fill in; empty when it is fine. */
export function unknownPlaceholders(template: string): string[] {
  const known: readonly string[] = PLACEHOLDERS;
  return [...template.matchAll(PLACE)].map((match) => match[1]!).filter((name) => !known.includes(name));
}

/** Fills in the placeholders; what the alert has no value for, such as `expected` of a plain range, becomes `-`. */
export function render(template: string, alert: Pick<Alert, Placeholder>): string {
  const text = template.replace(PLACE, (_, name: Placeholder) => {
    const value = alert[name];
    if (value === undefined) return "-";
    return typeof value === "number" ? shortNumber(value) : value;
  });
  return text.length > MAX_RENDERED ? `${text.slice(0, MAX_RENDERED - 1)}…` : text;
}
