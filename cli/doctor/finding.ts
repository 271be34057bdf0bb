/**
 * What a check of `sluice doctor` says.
 */
export interface Finding {
  check: string;
  /** `problem`: it will not work, or not safely. `warning`: it works, and may not for long or not fast. */
  level: "ok" | "warning" | "problem";
  /** What was found. */
  detail: string;
  /** What to change. */
  advice?: string;
}

export function ok(check: string, detail: string): Finding {
  return { check, level: "ok", detail };
}

export function warning(check: string, detail: string, advice: string): Finding {
  return { check, level: "warning", detail, advice };
}

export function problem(check: string, detail: string, advice: string): Finding {
  return { check, level: "problem", detail, advice };
}
