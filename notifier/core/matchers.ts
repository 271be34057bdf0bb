/**
 * Matchers: which alerts a route, silence, maintenance window or inhibition is about.
 */
import { z } from "zod";
import type { Alert } from "../../contracts/alert.js";

/** What alerts can be matched on, grouped by and held equal on. */
export const LABELS = ["rule", "severity", "device", "metric"] as const;
export type Label = (typeof LABELS)[number];

const globs = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]);

/**
 * Globs by label: `*` stands for any run of characters, `?` for one. Every label named must match, one of its globs
 * is enough.
 */
export const matchersSchema = z.strictObject({
  rule: globs.optional(),
  severity: globs.optional(),
  device: globs.optional(),
  metric: globs.optional(),
});
export type Matchers = z.output<typeof matchersSchema>;

export type Matcher = (alert: Pick<Alert, Label>) => boolean;

/** Without any matcher everything matches. */
export function compileMatchers(matchers: Matchers): Matcher {
  const tests = LABELS.flatMap((label) => {
    const wanted = matchers[label];
    if (wanted === undefined) return [];
    const patterns = (typeof wanted === "string" ? [wanted] : wanted).map(globPattern);
    return [(alert: Pick<Alert, Label>) => patterns.some((pattern) => pattern.test(alert[label]))];
  });
  return (alert) => tests.every((test) => test(alert));
}

/** The same text for the same meaning: part of the identity of a route. */
export function canonicalMatchers(matchers: Matchers): string {
  return JSON.stringify(LABELS.map((label) => [matchers[label] ?? []].flat().sort()));
}

function globPattern(glob: string): RegExp {
  const escaped = glob.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  // Runs of stars are one: many of them in a row would make the expression slow.
  return new RegExp(`^${escaped.replace(/\*+/g, ".*").replaceAll("?", ".")}$`, "s");
}
