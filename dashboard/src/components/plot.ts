/** What all charts share: axes in the page's own type and colours, and a size that follows their box. */
import type uPlot from "uplot";
import { formatTick, formatValue } from "../format.js";
import type { Palette } from "./palette.js";

const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

export function axes(colors: Palette): uPlot.Axis[] {
  const common = {
    stroke: colors.muted,
    font: FONT,
    grid: { stroke: colors.line, width: 1 },
    ticks: { show: false },
  };
  return [
    {
      ...common,
      grid: { show: false },
      size: 26,
      space: 70,
      values: (_plot, splits, _axis, _space, stepS) =>
        splits.map((seconds) => formatTick(seconds * 1_000, stepS * 1_000)),
    },
    {
      ...common,
      size: (_plot, values) => 16 + 6.5 * Math.max(3, ...(values ?? []).map((text) => text.length)),
      space: 34,
      values: (_plot, splits) => splits.map((value) => formatValue(value)),
    },
  ];
}

/** Keeps the chart as wide as `box`. @returns how to stop */
export function followWidth(plot: uPlot, box: HTMLElement): () => void {
  const observer = new ResizeObserver(([entry]) => {
    const width = Math.floor(entry!.contentRect.width);
    if (width > 0 && width !== plot.width) plot.setSize({ width, height: plot.height });
  });
  observer.observe(box);
  return () => observer.disconnect();
}

/** Points that lines would not show: those with nothing on either side. */
export function loners(plot: uPlot, series: number, show: boolean): number[] | null {
  if (show) return null;
  const values = plot.data[series]!;
  const found: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) found.push(i);
  }
  return found;
}
