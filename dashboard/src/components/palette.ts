/** The colours of the style sheet for what is drawn on a canvas, and when they change. */
import { useEffect, useState } from "preact/hooks";

const NAMES = [
  "text",
  "muted",
  "line",
  "accent",
  "band",
  "p95",
  "cell",
  "cell-warn",
  "idle",
  "warn",
  "bad",
] as const;
export type Palette = Record<(typeof NAMES)[number], string>;

export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(
    NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
  ) as Palette;
}

const DARK = matchMedia("(prefers-color-scheme: dark)");

/** `dark` or `light`; renders again when the reader switches. */
export function useScheme(): "dark" | "light" {
  const [dark, setDark] = useState(DARK.matches);
  useEffect(() => {
    const follow = () => setDark(DARK.matches);
    DARK.addEventListener("change", follow);
    return () => DARK.removeEventListener("change", follow);
  }, []);
  return dark ? "dark" : "light";
}
